-- Revoke every refresh token that came from one login.
DELETE FROM refresh_tokens WHERE family_id = :family_id
