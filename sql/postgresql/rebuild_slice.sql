-- The next accounts in the order of their ids, locked as a batch locks its own: no completion of
-- theirs is recorded until the transaction ends.
SELECT account_id FROM accounts
WHERE account_id > :after
ORDER BY account_id
LIMIT :size
FOR NO KEY UPDATE
