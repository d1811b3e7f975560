-- The accounts with these ids, a JSON array.
SELECT account_id, username FROM accounts WHERE account_id IN (SELECT value FROM json_each(:account_ids))
