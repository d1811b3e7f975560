-- The next accounts in the order of their ids. SQLite has locked everything by now.
SELECT account_id FROM accounts WHERE account_id > :after ORDER BY account_id LIMIT :size
