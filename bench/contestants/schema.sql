-- What the peers write to: the log with its unique key and its history, and the scores with room on
-- each page for a row's next version, as in sql/postgresql/migrations. Leaner than Scoreboard's own:
-- one board, no foreign keys, no fingerprint, day, week or kind.
CREATE TABLE log (
    log_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id TEXT COLLATE "C" NOT NULL,
    action_id TEXT COLLATE "C" NOT NULL,
    idempotency_key TEXT COLLATE "C" NOT NULL,
    points INTEGER NOT NULL,
    completed_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX log_key ON log (account_id, idempotency_key);

CREATE INDEX log_history ON log (account_id, log_id);

CREATE TABLE scores (
    account_id TEXT COLLATE "C" PRIMARY KEY,
    total BIGINT NOT NULL
) WITH (fillfactor = 67);
