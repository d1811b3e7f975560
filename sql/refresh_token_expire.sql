-- Forget an account's expired refresh tokens, so that the table grows with its users, not with time.
DELETE FROM refresh_tokens WHERE account_id = :account_id AND expires_at_ms <= :now
