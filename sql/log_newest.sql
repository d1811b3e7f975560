-- The end of the log; 0 when it is empty.
SELECT COALESCE(MAX(log_id), 0) AS log_id FROM action_log
