-- What the database knows about each change of a batch before any of it is recorded: the account's
-- all-time total and whether it is hidden, the rows that already hold its key or its signature, the row
-- that it reverses, the one that has done so, and the log's end.
SELECT
    item.key AS position,
    COALESCE(score.total, 0) AS total,
    hidden.account_id IS NOT NULL AS is_hidden,
    keyed.log_id AS keyed_log_id,
    keyed.fingerprint AS keyed_fingerprint,
    signed.log_id AS signed_log_id,
    reversed.action_id AS reversed_action_id,
    reversed.points AS reversed_points,
    reversed.day AS reversed_day,
    reversed.week AS reversed_week,
    reversing.log_id AS reversing_log_id,
    (SELECT COALESCE(MAX(log_id), 0) FROM action_log) AS last_log_id
FROM json_each(:batch) AS item
LEFT JOIN scores AS score
    ON score.board = 'all-time' AND score.period = ''
    AND score.account_id = json_extract(item.value, '$[0]')
LEFT JOIN hidden_players AS hidden ON hidden.account_id = json_extract(item.value, '$[0]')
LEFT JOIN action_log AS keyed
    ON COALESCE(keyed.actor_id, keyed.account_id) = json_extract(item.value, '$[1]')
    AND keyed.idempotency_key = json_extract(item.value, '$[2]')
LEFT JOIN action_log AS signed ON signed.signature = json_extract(item.value, '$[3]')
LEFT JOIN action_log AS reversed
    ON reversed.log_id = json_extract(item.value, '$[4]')
    AND reversed.account_id = json_extract(item.value, '$[0]')
    AND reversed.kind IN ('completion', 'increment', 'adjustment')
LEFT JOIN action_log AS reversing ON reversing.voids_log_id = json_extract(item.value, '$[4]')
