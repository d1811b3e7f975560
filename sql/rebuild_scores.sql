-- Make the score rows of some accounts from the log. Rows that are right already stay untouched.
-- What has no points, a hiding, sets no total. The accounts are locked, except those that were made
-- since; a row of theirs that has changed since this statement began is right, and stays.
INSERT INTO scores (board, period, account_id, total, reached_log_id, version)
SELECT
    entry.board, entry.period, entry.account_id, SUM(entry.points), MAX(entry.log_id),
    COALESCE(MAX(score.version), 0) + 1
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
LEFT JOIN scores AS score
    ON score.board = entry.board AND score.period = entry.period
    AND score.account_id = entry.account_id
WHERE true
GROUP BY entry.board, entry.period, entry.account_id
ON CONFLICT (board, period, account_id) DO UPDATE SET
    total = excluded.total,
    reached_log_id = excluded.reached_log_id,
    version = excluded.version
WHERE
    scores.version + 1 = excluded.version
    AND (scores.total <> excluded.total OR scores.reached_log_id <> excluded.reached_log_id)
RETURNING account_id
