-- One account by its case-folded username, with what a login is checked against.
SELECT account_id, username, password_hash FROM accounts WHERE username_key = :username_key
