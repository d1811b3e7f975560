-- A slice of the log behind a row: where it ends, and, as JSON, the all-time version and total of
-- each account in it. Each account's score is looked up by itself: before statistics are there the
-- planner would compare every account with every score.
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
        json_agg(json_build_array(met.account_id, score.version, score.total)), '[]'
    ) AS TEXT) AS versions
FROM (SELECT DISTINCT account_id FROM tail) AS met
CROSS JOIN LATERAL (
    SELECT kept.version, kept.total
    FROM standings AS kept
    WHERE kept.board = 'all-time' AND kept.period = '' AND kept.account_id = met.account_id
    LIMIT 1
) AS score
