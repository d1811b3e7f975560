-- Zero the score rows of some accounts that the log knows nothing of. They keep a version, so that
-- boards drop them too.
UPDATE scores SET total = 0, version = version + 1
WHERE
    total <> 0
    AND account_id > :after AND account_id <= :upto
    AND NOT EXISTS (
        SELECT 1 FROM action_log AS entry
        WHERE
            entry.account_id = scores.account_id
            AND entry.points <> 0
            AND (
                scores.board = 'all-time'
                OR (scores.board = 'daily' AND entry.day = scores.period)
                OR (scores.board = 'weekly' AND entry.week = scores.period)
            )
    )
RETURNING account_id
