-- Make the score rows of some accounts from the log. Rows that are right already stay untouched.
-- What has no points, a hiding, sets no total.
INSERT INTO scores (board, period, account_id, total, reached_log_id, version)
SELECT board, period, account_id, SUM(points), MAX(log_id), 1
FROM (
    SELECT 'all-time' AS board, '' AS period, account_id, points, log_id
    FROM action_log
    WHERE account_id > :after AND account_id <= :upto AND points <> 0
    UNION ALL
    SELECT 'daily', day, account_id, points, log_id
    FROM action_log
    WHERE account_id > :after AND account_id <= :upto AND points <> 0 AND CAST(:daily AS INTEGER) = 1
    UNION ALL
    SELECT 'weekly', week, account_id, points, log_id
    FROM action_log
    WHERE account_id > :after AND account_id <= :upto AND points <> 0 AND CAST(:weekly AS INTEGER) = 1
) AS entry
WHERE true
GROUP BY board, period, account_id
ON CONFLICT (board, period, account_id) DO UPDATE SET
    total = excluded.total,
    reached_log_id = excluded.reached_log_id,
    version = scores.version + 1
WHERE scores.total <> excluded.total OR scores.reached_log_id <> excluded.reached_log_id
RETURNING account_id
