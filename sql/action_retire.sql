-- Take an action off the list; what was completed stays in the log.
UPDATE actions SET retired_at_ms = :now WHERE action_id = :action_id AND retired_at_ms IS NULL
