-- A new account, unless its id or its username is taken: then no row comes back.
INSERT INTO accounts (account_id, username, username_key, password_hash, created_at_ms)
VALUES (:account_id, :username, :username_key, :password_hash, :created_at_ms)
ON CONFLICT DO NOTHING
RETURNING account_id, username
