-- The family of a refresh token, used or not.
SELECT family_id FROM refresh_tokens WHERE token_hash = :token_hash
