-- How many accounts have a place in a ranking.
SELECT COUNT(*) AS places FROM standings WHERE board = :board AND period = :period AND total > 0
