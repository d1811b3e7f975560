-- The end of the log, 0 when it is empty. With one writer nothing before it can still be uncommitted.
SELECT COALESCE(MAX(log_id), 0) AS log_id, 0 AS begun, 0 AS ended FROM action_log
