-- One page of a ranking: the higher score first, of equal ones whoever got there first.
-- The names are joined to the page alone, not to all that it is chosen from.
SELECT place.account_id, account.username, place.total
FROM (
    SELECT account_id, total, reached_log_id
    FROM standings
    WHERE board = :board AND period = :period AND total > 0
    ORDER BY total DESC, reached_log_id ASC
    LIMIT :size OFFSET :skip
) AS place
INNER JOIN accounts AS account ON account.account_id = place.account_id
ORDER BY place.total DESC, place.reached_log_id ASC
