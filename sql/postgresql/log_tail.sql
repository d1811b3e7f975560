-- A slice of the log behind a row: where it ends, and, as JSON, the all-time version and total of
-- each account in it.
WITH tail AS (
    SELECT log_id, account_id
    FROM action_log
    WHERE log_id > :after AND log_id <= :upto
    ORDER BY log_id
    LIMIT :size
)
SELECT
    (SELECT MAX(log_id) FROM tail) AS upto,
    CAST(COALESCE(
        json_agg(json_build_array(score.account_id, score.version, score.total)), '[]'
    ) AS TEXT) AS versions
FROM standings AS score
WHERE
    score.board = 'all-time' AND score.period = ''
    AND score.account_id IN (SELECT account_id FROM tail)
