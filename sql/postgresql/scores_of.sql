-- The totals of some accounts, named by a JSON array, in one ranking.
SELECT
    score.account_id, account.username, score.total, score.reached_log_id, score.version
FROM standings AS score
INNER JOIN accounts AS account ON account.account_id = score.account_id
WHERE
    score.board = :board AND score.period = :period
    AND score.account_id IN (SELECT value FROM json_array_elements_text(CAST(:accounts AS JSON)))
