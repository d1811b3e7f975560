-- Create an action, or change it for the future; completions already in the log keep their points.
INSERT INTO actions (action_id, name, description, points, repeat, position)
VALUES (
    :action_id, :name, :description, :points, :repeat,
    (SELECT COALESCE(MAX(position), 0) + 1 FROM actions)
)
ON CONFLICT (action_id) DO UPDATE SET
    name = excluded.name,
    description = excluded.description,
    points = excluded.points,
    repeat = excluded.repeat,
    retired_at_ms = NULL
