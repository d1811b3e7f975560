-- Add a batch's points to the score rows and give back the totals with their versions.
INSERT INTO scores (board, period, account_id, total, reached_log_id, version)
SELECT
    json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
    json_extract(value, '$[3]'), json_extract(value, '$[4]'), 1
FROM json_each(:rows)
WHERE true
ON CONFLICT (board, period, account_id) DO UPDATE SET
    total = scores.total + excluded.total,
    reached_log_id = excluded.reached_log_id,
    version = scores.version + 1
RETURNING board, period, account_id, total, reached_log_id, version
