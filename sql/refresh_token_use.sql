-- Use a refresh token up. A row comes back for the first user only, and before it expires.
UPDATE refresh_tokens SET used_at_ms = :now
WHERE token_hash = :token_hash AND used_at_ms IS NULL AND expires_at_ms > :now
RETURNING family_id
