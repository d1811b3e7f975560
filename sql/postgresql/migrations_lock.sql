-- Wait until no other process is at a step of the schema; the lock ends with the transaction.
SELECT pg_advisory_xact_lock(6072741)
