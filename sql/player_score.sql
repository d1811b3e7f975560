-- An account's score in a ranking, which is kept while it is hidden, and whether it is. No row for an
-- unknown account.
SELECT
    COALESCE(score.total, 0) AS total,
    CASE WHEN hidden.account_id IS NULL THEN 0 ELSE 1 END AS is_hidden
FROM accounts AS account
LEFT JOIN scores AS score
    ON score.account_id = account.account_id AND score.board = :board AND score.period = :period
LEFT JOIN hidden_players AS hidden ON hidden.account_id = account.account_id
WHERE account.account_id = :account_id
