-- The family and the account of a refresh token, used or not.
SELECT family_id, account_id FROM refresh_tokens WHERE token_hash = :token_hash
