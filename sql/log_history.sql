-- What an account's score is made of, before a log row, newest first.
SELECT log_id, action_id, points, new_score, completed_at_ms
FROM action_log
WHERE account_id = :account_id AND log_id < :before AND points <> 0
ORDER BY log_id DESC
LIMIT :size
