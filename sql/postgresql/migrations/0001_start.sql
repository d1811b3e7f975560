-- Accounts, actions, the append-only action log, the scores that it adds up to, refresh tokens, and
-- the function that records a batch. Instants are milliseconds since the Unix epoch in UTC.
-- Ids are compared by their bytes, which is faster than a language's order and the same everywhere.

-- Someone who can earn points. A password belongs only to accounts that registered here.
CREATE TABLE accounts (
    account_id TEXT COLLATE "C" PRIMARY KEY,
    username TEXT NOT NULL,
    username_key TEXT COLLATE "C" NOT NULL UNIQUE,
    password_hash TEXT,
    created_at_ms BIGINT NOT NULL
);

-- Something that can be completed. A retired action stays, since the log refers to it.
CREATE TABLE actions (
    action_id TEXT COLLATE "C" PRIMARY KEY,
    name TEXT NOT NULL,
    description TEXT NOT NULL DEFAULT '',
    points INTEGER NOT NULL CHECK (points > 0),
    repeat TEXT NOT NULL CHECK (repeat IN ('once', 'daily', 'unlimited')),
    position INTEGER NOT NULL,
    retired_at_ms BIGINT
);

-- Every completion that was ever acknowledged. Rows are never changed. Those of one account are
-- numbered in the order of their commit; those of different accounts are not. A transaction that is
-- rolled back leaves a gap.
CREATE SEQUENCE action_log_ids;

CREATE TABLE action_log (
    log_id BIGINT PRIMARY KEY DEFAULT nextval('action_log_ids'),
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts,
    action_id TEXT COLLATE "C" NOT NULL REFERENCES actions,
    slot TEXT COLLATE "C",
    idempotency_key TEXT COLLATE "C",
    fingerprint TEXT NOT NULL,
    data TEXT,
    points INTEGER NOT NULL,
    new_score BIGINT NOT NULL,
    completed_at_ms BIGINT NOT NULL,
    day TEXT COLLATE "C" NOT NULL,
    week TEXT COLLATE "C" NOT NULL
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
-- the one with the smaller leads. version counts every change of the row. A third of each page stays
-- free for the row's next version, and no index holds the total: so that an update stays on its page
-- and touches no index (docs/decisions.md has the figures).
CREATE TABLE scores (
    board TEXT COLLATE "C" NOT NULL,
    period TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts,
    total BIGINT NOT NULL,
    reached_log_id BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (board, period, account_id)
) WITH (fillfactor = 67);

-- One row per finished rebuild of the scores: a board that was loaded before it is loaded again.
CREATE TABLE rebuilds (
    rebuild_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    finished_at_ms BIGINT NOT NULL
);

-- Refresh tokens by their SHA-256. Those that came from one login are a family.
CREATE TABLE refresh_tokens (
    token_hash TEXT COLLATE "C" PRIMARY KEY,
    family_id TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts,
    expires_at_ms BIGINT NOT NULL,
    used_at_ms BIGINT
);

CREATE INDEX refresh_tokens_family ON refresh_tokens (family_id);

CREATE INDEX refresh_tokens_account ON refresh_tokens (account_id, expires_at_ms);

-- Record a batch of completions, given as one array a column and decided in their order: the rules of
-- src/scoreboard/scoring/rules.py, next to the rows. One row comes back for each: its outcome, the log
-- row that it made or met, and, when it was recorded, the account's totals and their versions on each
-- of chosen_boards.
-- The batch's accounts are locked first, in the order of their ids: batches of several servers wait
-- for each other and never in a circle. Every statement below sees what was committed before it
-- began (the function is volatile, the transaction READ COMMITTED), so what was read under the lock
-- is still true when the row is written. at_ms is the instant of the batch; NULL takes the clock's.
CREATE FUNCTION record_completions(
    account_ids TEXT [],
    action_ids TEXT [],
    keys TEXT [],
    fingerprints TEXT [],
    datas TEXT [],
    chosen_boards TEXT [],
    at_ms BIGINT
)
RETURNS TABLE (
    outcome TEXT,
    log_id BIGINT,
    action_id TEXT,
    points INTEGER,
    new_score BIGINT,
    completed_at_ms BIGINT,
    totals BIGINT [],
    versions BIGINT []
)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    batch_ms BIGINT;
    batch_day TEXT;
    batch_week TEXT;
    action_points INTEGER;
    action_repeat TEXT;
    item_slot TEXT;
    known RECORD;
    is_known BOOLEAN;
    board_name TEXT;
    board_total BIGINT;
    board_version BIGINT;
BEGIN
    PERFORM 1 FROM accounts AS account
    WHERE account.account_id = ANY (account_ids)
    ORDER BY account.account_id
    FOR NO KEY UPDATE;

    batch_ms = COALESCE(at_ms, floor(extract(EPOCH FROM clock_timestamp()) * 1000));
    batch_day = to_char(to_timestamp(batch_ms / 1000) AT TIME ZONE 'UTC', 'YYYY-MM-DD');
    batch_week = to_char(to_timestamp(batch_ms / 1000) AT TIME ZONE 'UTC', 'IYYY-"W"IW');

    FOR item IN 1 .. cardinality(account_ids) LOOP
        outcome = NULL;
        totals = NULL;
        versions = NULL;
        item_slot = NULL;
        is_known = FALSE;

        IF keys[item] IS NOT NULL THEN
            SELECT entry.* INTO known FROM action_log AS entry
            WHERE entry.account_id = account_ids[item] AND entry.idempotency_key = keys[item];
            is_known = FOUND;
        END IF;
        IF is_known THEN
            outcome = CASE known.fingerprint WHEN fingerprints[item] THEN 'replayed' ELSE 'reused' END;
        ELSE
            SELECT action.points, action.repeat INTO action_points, action_repeat
            FROM actions AS action
            WHERE action.action_id = action_ids[item] AND action.retired_at_ms IS NULL;
            IF NOT FOUND THEN
                outcome = 'invalid_action';
            ELSIF action_repeat = 'unlimited' THEN
                IF keys[item] IS NULL THEN
                    outcome = 'key_required';
                END IF;
            ELSE
                item_slot = CASE action_repeat WHEN 'once' THEN 'once' ELSE batch_day END;
                SELECT entry.* INTO known FROM action_log AS entry
                WHERE
                    entry.account_id = account_ids[item]
                    AND entry.action_id = action_ids[item]
                    AND entry.slot = item_slot;
                is_known = FOUND;
                IF is_known THEN
                    outcome = 'repeated';
                END IF;
            END IF;
        END IF;

        IF outcome IS NULL THEN
            outcome = 'recorded';
            log_id = nextval('action_log_ids');
            action_id = action_ids[item];
            points = action_points;
            completed_at_ms = batch_ms;
            FOREACH board_name IN ARRAY chosen_boards LOOP
                INSERT INTO scores AS score (board, period, account_id, total, reached_log_id, version)
                VALUES (
                    board_name,
                    CASE board_name WHEN 'daily' THEN batch_day WHEN 'weekly' THEN batch_week ELSE '' END,
                    account_ids[item], action_points, log_id, 1
                )
                ON CONFLICT (board, period, account_id) DO UPDATE SET
                    total = score.total + excluded.total,
                    reached_log_id = excluded.reached_log_id,
                    version = score.version + 1
                RETURNING score.total, score.version INTO board_total, board_version;
                totals = totals || board_total;
                versions = versions || board_version;
                IF board_name = 'all-time' THEN
                    new_score = board_total;
                END IF;
            END LOOP;
            INSERT INTO action_log (
                log_id, account_id, action_id, slot, idempotency_key, fingerprint, data,
                points, new_score, completed_at_ms, day, week
            )
            VALUES (
                log_id, account_ids[item], action_id, item_slot, keys[item], fingerprints[item],
                datas[item], points, new_score, completed_at_ms, batch_day, batch_week
            );
        ELSIF is_known THEN
            log_id = known.log_id;
            action_id = known.action_id;
            points = known.points;
            new_score = known.new_score;
            completed_at_ms = known.completed_at_ms;
        ELSE
            log_id = NULL;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;
