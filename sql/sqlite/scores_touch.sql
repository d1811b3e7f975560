-- Count up the version of an account's row, since boards have to show it otherwise.
UPDATE scores SET version = version + 1
WHERE board = :board AND period = :period AND account_id = :account_id
RETURNING board, period, account_id, total, reached_log_id, version
