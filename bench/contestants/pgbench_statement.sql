-- The same completion as one statement, which is its own transaction.
\set player random(0, 4999)
\set key :key + 1
WITH entry AS (
    INSERT INTO log (account_id, action_id, idempotency_key, points)
    VALUES ('player-' || :player, 'solve-a-puzzle', :client_id || '-' || :key, 5)
    ON CONFLICT (account_id, idempotency_key) DO NOTHING
    RETURNING account_id, points
)
INSERT INTO scores AS score (account_id, total) SELECT account_id, points FROM entry
ON CONFLICT (account_id) DO UPDATE SET total = score.total + excluded.total
RETURNING total;
