-- A slice of a ranking's totals in the order of the account ids, to load a board piece by piece.
-- Both tables are told where the slice begins: PostgreSQL would read the accounts from the first on.
SELECT
    score.account_id, account.username, score.total, score.reached_log_id, score.version
FROM standings AS score
INNER JOIN accounts AS account ON account.account_id = score.account_id
WHERE
    score.board = :board AND score.period = :period AND score.account_id > :after
    AND account.account_id > :after
ORDER BY score.account_id
LIMIT :size
