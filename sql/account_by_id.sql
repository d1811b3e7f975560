-- One account by its id.
SELECT account_id, username FROM accounts WHERE account_id = :account_id
