-- How many stand before an account in a ranking; no row when it is not on the board.
SELECT (
    SELECT COUNT(*)
    FROM standings AS other
    WHERE
        other.board = mine.board AND other.period = mine.period
        AND (
            other.total > mine.total
            OR (other.total = mine.total AND other.reached_log_id < mine.reached_log_id)
        )
) AS ahead
FROM standings AS mine
WHERE
    mine.board = :board AND mine.period = :period AND mine.account_id = :account_id
    AND mine.total > 0
