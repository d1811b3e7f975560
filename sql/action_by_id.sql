-- One action by its id, and when it was retired.
SELECT
    action_id, name, description, points, repeat,
    min_elapsed_seconds, cooldown_seconds, daily_limit, retired_at_ms
FROM actions
WHERE action_id = :action_id
