-- Take a player off every board.
INSERT INTO hidden_players (account_id, hidden_at_ms) VALUES (:account_id, :now) ON CONFLICT DO NOTHING
