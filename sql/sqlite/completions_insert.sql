-- Append a batch of decided completions to the log.
INSERT INTO action_log (
    log_id, account_id, action_id, slot, idempotency_key, fingerprint, data,
    points, new_score, completed_at_ms, day, week
)
SELECT
    json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
    json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),
    json_extract(value, '$[6]'), json_extract(value, '$[7]'), json_extract(value, '$[8]'),
    :completed_at_ms, :day, :week
FROM json_each(:rows)
