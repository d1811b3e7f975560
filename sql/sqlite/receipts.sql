-- What was recorded under these log ids.
SELECT log_id, action_id, points, new_score, completed_at_ms
FROM action_log
WHERE log_id IN (SELECT value FROM json_each(:log_ids))
