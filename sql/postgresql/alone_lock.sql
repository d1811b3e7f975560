-- Take the lock that makes this process the only server of the database, if nobody has it. It ends
-- with the session.
SELECT pg_try_advisory_lock(:key) AS is_held
