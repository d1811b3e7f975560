-- Note when accounts last completed actions that limit how often, and how many times on that day.
INSERT INTO action_uses (account_id, action_id, last_at_ms, day, times)
SELECT
    json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
    json_extract(value, '$[3]'), json_extract(value, '$[4]')
FROM json_each(:rows)
WHERE true
ON CONFLICT (account_id, action_id) DO UPDATE SET
    last_at_ms = excluded.last_at_ms,
    day = excluded.day,
    times = excluded.times
