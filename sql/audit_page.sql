-- Who changed what, before a row of the trail, newest first.
SELECT audit_id, at_ms, actor_id, change, subject, reason, detail
FROM audit
WHERE audit_id < :before
ORDER BY audit_id DESC
LIMIT :size
