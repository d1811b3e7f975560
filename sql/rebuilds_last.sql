-- The newest finished rebuild of the scores; 0 when there was none.
SELECT COALESCE(MAX(rebuild_id), 0) AS rebuild_id FROM rebuilds
