-- What staff and trusted backends write: corrections in the log, hidden players, and who changed what.
-- And what an action may ask for besides its slot: a time between start and end, a cooldown, a number
-- of times a day.

ALTER TABLE actions ADD COLUMN min_elapsed_seconds INTEGER CHECK (min_elapsed_seconds > 0);

ALTER TABLE actions ADD COLUMN cooldown_seconds INTEGER CHECK (cooldown_seconds > 0);

ALTER TABLE actions ADD COLUMN daily_limit INTEGER CHECK (daily_limit > 0);

-- The log holds everything that changes a score, and who is shown. Only a completion has an action of
-- its own, and is the doing of its account; the others name who wrote them (actor_id). Hiding and
-- unhiding have no points: they are here so that boards hear of them as they do of everything else.
-- A column cannot lose its NOT NULL here, so the table is made anew.
CREATE TABLE action_log_2 (
    log_id INTEGER PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts,
    action_id TEXT REFERENCES actions,
    slot TEXT,
    idempotency_key TEXT,
    fingerprint TEXT NOT NULL,
    data TEXT,
    points INTEGER NOT NULL,
    new_score INTEGER NOT NULL,
    completed_at_ms INTEGER NOT NULL,
    day TEXT NOT NULL,
    week TEXT NOT NULL,
    kind TEXT NOT NULL DEFAULT 'completion'
        CHECK (kind IN ('completion', 'increment', 'adjustment', 'void', 'hide', 'unhide')),
    actor_id TEXT,
    reason TEXT,
    voids_log_id INTEGER REFERENCES action_log_2,
    signature TEXT
);

INSERT INTO action_log_2 (
    log_id, account_id, action_id, slot, idempotency_key, fingerprint, data,
    points, new_score, completed_at_ms, day, week
)
SELECT
    log_id, account_id, action_id, slot, idempotency_key, fingerprint, data,
    points, new_score, completed_at_ms, day, week
FROM action_log;

DROP TABLE action_log;

ALTER TABLE action_log_2 RENAME TO action_log;

-- What makes a completion count once: one row per account, action and slot (once, or a day) ...
CREATE UNIQUE INDEX action_log_slot
ON action_log (account_id, action_id, slot) WHERE slot IS NOT NULL;

-- ... one row per caller and Idempotency-Key, remembered as long as the log ...
CREATE UNIQUE INDEX action_log_key
ON action_log (COALESCE(actor_id, account_id), idempotency_key) WHERE idempotency_key IS NOT NULL;

-- ... a row is reversed once at most, and a signature counts once, whoever sends it.
CREATE UNIQUE INDEX action_log_voids ON action_log (voids_log_id) WHERE voids_log_id IS NOT NULL;

CREATE UNIQUE INDEX action_log_signature ON action_log (signature) WHERE signature IS NOT NULL;

-- An account's own history, newest first, and what it adds up to.
CREATE INDEX action_log_history ON action_log (account_id, log_id);

-- When an account last completed an action that limits how often, and how many times on that day.
CREATE TABLE action_uses (
    account_id TEXT NOT NULL REFERENCES accounts,
    action_id TEXT NOT NULL REFERENCES actions,
    last_at_ms INTEGER NOT NULL,
    day TEXT NOT NULL,
    times INTEGER NOT NULL,
    PRIMARY KEY (account_id, action_id)
) WITHOUT ROWID;

-- Who is on no board. Their scores are kept, and go on.
CREATE TABLE hidden_players (
    account_id TEXT PRIMARY KEY NOT NULL REFERENCES accounts,
    hidden_at_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- The score rows as boards show them: a hidden player's total is 0, which has no place.
CREATE VIEW standings AS
SELECT
    score.board,
    score.period,
    score.account_id,
    CASE WHEN hidden.account_id IS NULL THEN score.total ELSE 0 END AS total,
    score.reached_log_id,
    score.version
FROM scores AS score
LEFT JOIN hidden_players AS hidden ON hidden.account_id = score.account_id;

-- Who changed what, when and why. Rows are never changed. detail is JSON.
CREATE TABLE audit (
    audit_id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    actor_id TEXT NOT NULL,
    change TEXT NOT NULL,
    subject TEXT NOT NULL,
    reason TEXT,
    detail TEXT NOT NULL
);
