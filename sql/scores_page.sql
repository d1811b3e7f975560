-- One page of a ranking: the higher score first, of equal ones whoever got there first.
SELECT score.account_id, account.username, score.total
FROM scores AS score
INNER JOIN accounts AS account ON account.account_id = score.account_id
WHERE score.board = :board AND score.period = :period AND score.total > 0
ORDER BY score.total DESC, score.reached_log_id ASC
LIMIT :size OFFSET :skip
