-- Accounts, actions, the append-only action log, the scores that it adds up to, and refresh tokens.
-- Instants are milliseconds since the Unix epoch in UTC.

-- Someone who can earn points. A password belongs only to accounts that registered here.
CREATE TABLE accounts (
    account_id TEXT PRIMARY KEY NOT NULL,
    username TEXT NOT NULL,
    username_key TEXT NOT NULL UNIQUE,
    password_hash TEXT,
    created_at_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- Something that can be completed. A retired action stays, since the log refers to it.
CREATE TABLE actions (
    action_id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL DEFAULT '',
    points INTEGER NOT NULL CHECK (points > 0),
    repeat TEXT NOT NULL CHECK (repeat IN ('once', 'daily', 'unlimited')),
    position INTEGER NOT NULL,
    retired_at_ms INTEGER
) WITHOUT ROWID;

-- Every completion that was ever acknowledged, in the order of its commit. Rows are never changed.
CREATE TABLE action_log (
    log_id INTEGER PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts,
    action_id TEXT NOT NULL REFERENCES actions,
    slot TEXT,
    idempotency_key TEXT,
    fingerprint TEXT NOT NULL,
    data TEXT,
    points INTEGER NOT NULL,
    new_score INTEGER NOT NULL,
    completed_at_ms INTEGER NOT NULL,
    day TEXT NOT NULL,
    week TEXT NOT NULL
);

-- What makes a completion count once: one row per account, action and slot (once, or a day) ...
CREATE UNIQUE INDEX action_log_slot
ON action_log (account_id, action_id, slot) WHERE slot IS NOT NULL;

-- ... and one row per account and Idempotency-Key, remembered as long as the log.
CREATE UNIQUE INDEX action_log_key
ON action_log (account_id, idempotency_key) WHERE idempotency_key IS NOT NULL;

-- An account's own history, newest first, and what it adds up to.
CREATE INDEX action_log_history ON action_log (account_id, log_id);

-- The totals that the log adds up to. reached_log_id is the row that set the total: of equal totals
-- the one with the smaller leads. version counts every change of the row.
CREATE TABLE scores (
    board TEXT NOT NULL,
    period TEXT NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts,
    total INTEGER NOT NULL,
    reached_log_id INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (board, period, account_id)
) WITHOUT ROWID;

-- One row per finished rebuild of the scores: a running server that sees a new one reloads its board.
CREATE TABLE rebuilds (
    rebuild_id INTEGER PRIMARY KEY,
    finished_at_ms INTEGER NOT NULL
);

-- Refresh tokens by their SHA-256. Those that came from one login are a family.
CREATE TABLE refresh_tokens (
    token_hash TEXT PRIMARY KEY NOT NULL,
    family_id TEXT NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts,
    expires_at_ms INTEGER NOT NULL,
    used_at_ms INTEGER
) WITHOUT ROWID;

CREATE INDEX refresh_tokens_family ON refresh_tokens (family_id);

CREATE INDEX refresh_tokens_account ON refresh_tokens (account_id, expires_at_ms);
