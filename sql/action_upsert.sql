-- Create an action, or change it for the future; completions already in the log keep their points.
INSERT INTO actions (
    action_id, name, description, points, repeat,
    min_elapsed_seconds, cooldown_seconds, daily_limit, position
)
VALUES (
    :action_id, :name, :description, :points, :repeat,
    :min_elapsed_seconds, :cooldown_seconds, :daily_limit,
    (SELECT COALESCE(MAX(position), 0) + 1 FROM actions)
)
ON CONFLICT (action_id) DO UPDATE SET
    name = excluded.name,
    description = excluded.description,
    points = excluded.points,
    repeat = excluded.repeat,
    min_elapsed_seconds = excluded.min_elapsed_seconds,
    cooldown_seconds = excluded.cooldown_seconds,
    daily_limit = excluded.daily_limit,
    retired_at_ms = NULL
