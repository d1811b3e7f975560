-- A new refresh token, by its hash.
INSERT INTO refresh_tokens (token_hash, family_id, account_id, expires_at_ms)
VALUES (:token_hash, :family_id, :account_id, :expires_at_ms)
