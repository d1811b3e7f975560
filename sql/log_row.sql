-- Whose a row of the log is, if it is one that can be reversed.
SELECT account_id FROM action_log
WHERE log_id = :log_id AND kind IN ('completion', 'increment', 'adjustment')
