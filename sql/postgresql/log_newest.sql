-- The end of the log, 0 when it is empty, with the first transaction that has not begun, and the first
-- that has not ended.
SELECT
    COALESCE(MAX(log_id), 0) AS log_id,
    CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT) AS BIGINT) AS begun,
    CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS TEXT) AS BIGINT) AS ended
FROM action_log
