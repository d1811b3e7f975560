-- One completion over four round trips, without anything around the database.
\set player random(0, 4999)
\set key :key + 1
BEGIN;
INSERT INTO log (account_id, action_id, idempotency_key, points)
VALUES ('player-' || :player, 'solve-a-puzzle', :client_id || '-' || :key, 5)
ON CONFLICT (account_id, idempotency_key) DO NOTHING;
INSERT INTO scores AS score (account_id, total) VALUES ('player-' || :player, 5)
ON CONFLICT (account_id) DO UPDATE SET total = score.total + excluded.total
RETURNING total;
COMMIT;
