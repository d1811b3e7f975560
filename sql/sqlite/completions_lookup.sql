-- What the database knows about each completion of a batch before any of it is recorded: the action,
-- when it was last used, the account's all-time total and whether it is hidden, the rows that already
-- hold its key or its slot, and the log's end.
SELECT
    item.key AS position,
    action.points,
    action.repeat,
    action.min_elapsed_seconds,
    action.cooldown_seconds,
    action.daily_limit,
    used.last_at_ms AS used_at_ms,
    used.day AS used_day,
    used.times AS used_times,
    COALESCE(score.total, 0) AS total,
    hidden.account_id IS NOT NULL AS is_hidden,
    keyed.log_id AS keyed_log_id,
    keyed.fingerprint AS keyed_fingerprint,
    slotted.log_id AS slotted_log_id,
    (SELECT COALESCE(MAX(log_id), 0) FROM action_log) AS last_log_id
FROM json_each(:batch) AS item
LEFT JOIN actions AS action
    ON action.action_id = json_extract(item.value, '$[1]') AND action.retired_at_ms IS NULL
LEFT JOIN action_uses AS used
    ON used.account_id = json_extract(item.value, '$[0]') AND used.action_id = action.action_id
LEFT JOIN scores AS score
    ON score.board = 'all-time' AND score.period = ''
    AND score.account_id = json_extract(item.value, '$[0]')
LEFT JOIN hidden_players AS hidden ON hidden.account_id = json_extract(item.value, '$[0]')
LEFT JOIN action_log AS keyed
    ON COALESCE(keyed.actor_id, keyed.account_id) = json_extract(item.value, '$[0]')
    AND keyed.idempotency_key = json_extract(item.value, '$[2]')
LEFT JOIN action_log AS slotted
    ON slotted.account_id = json_extract(item.value, '$[0]')
    AND slotted.action_id = action.action_id
    AND slotted.slot = CASE action.repeat WHEN 'once' THEN 'once' WHEN 'daily' THEN :day END
