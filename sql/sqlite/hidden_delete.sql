-- Put a player back on every board.
DELETE FROM hidden_players WHERE account_id = :account_id
