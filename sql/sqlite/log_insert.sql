-- Append what a batch decided to the log.
INSERT INTO action_log (
    log_id, account_id, action_id, slot, idempotency_key, fingerprint, data,
    points, new_score, day, week, kind, actor_id, reason, voids_log_id, signature, completed_at_ms
)
SELECT
    json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
    json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),
    json_extract(value, '$[6]'), json_extract(value, '$[7]'), json_extract(value, '$[8]'),
    json_extract(value, '$[9]'), json_extract(value, '$[10]'), json_extract(value, '$[11]'),
    json_extract(value, '$[12]'), json_extract(value, '$[13]'), json_extract(value, '$[14]'),
    json_extract(value, '$[15]'), :completed_at_ms
FROM json_each(:rows)
