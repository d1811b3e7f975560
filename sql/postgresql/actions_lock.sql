-- Wait until no other process changes the actions; the lock ends with the transaction.
SELECT pg_advisory_xact_lock(6072742)
