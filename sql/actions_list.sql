-- The actions that can be completed, in the order in which they were first loaded.
SELECT
    action_id, name, description, points, repeat,
    min_elapsed_seconds, cooldown_seconds, daily_limit
FROM actions
WHERE retired_at_ms IS NULL
ORDER BY position, action_id
