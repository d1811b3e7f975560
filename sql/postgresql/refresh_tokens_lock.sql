-- Wait until no other transaction adds or revokes refresh tokens of an account; the lock ends with the
-- transaction. The number before it keeps these locks apart from others.
SELECT pg_advisory_xact_lock(6072743, hashtext(:account_id))
