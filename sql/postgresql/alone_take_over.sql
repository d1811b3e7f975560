-- End the session that has the lock, if it is a former one of this process: then it has the same name.
-- True when it has ended.
SELECT pg_terminate_backend(holder.pid, :wait_ms) AS has_ended
FROM pg_locks AS held
INNER JOIN pg_stat_activity AS holder ON holder.pid = held.pid
WHERE
    held.locktype = 'advisory'
    AND held.granted
    AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND held.objsubid = 1
    AND (CAST(held.classid AS BIGINT) << 32) | CAST(held.objid AS BIGINT) = :key
    AND holder.application_name = current_setting('application_name')
    AND holder.pid <> pg_backend_pid()
