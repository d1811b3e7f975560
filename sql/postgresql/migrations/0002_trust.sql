-- What staff and trusted backends write: corrections in the log, hidden players, and who changed what.
-- And what an action may ask for besides its slot: a time between start and end, a cooldown, a number
-- of times a day.

-- Servers of the release before go on while this is done. A batch locks its accounts before anything
-- else, so none is in the middle of one once this is had; and what somebody else holds for long (a
-- dump) is not waited for while they all wait behind it. Then the step is tried again.
SET LOCAL lock_timeout = '2s';

LOCK TABLE accounts IN EXCLUSIVE MODE;

ALTER TABLE actions
    ADD COLUMN min_elapsed_seconds BIGINT CHECK (min_elapsed_seconds > 0),
    ADD COLUMN cooldown_seconds BIGINT CHECK (cooldown_seconds > 0),
    ADD COLUMN daily_limit INTEGER CHECK (daily_limit > 0);

-- The log holds everything that changes a score, and who is shown. Only a completion has an action of
-- its own, and is the doing of its account; the others name who wrote them (actor_id). Hiding and
-- unhiding have no points: they are here so that boards hear of them as they do of everything else.
ALTER TABLE action_log
    ALTER COLUMN action_id DROP NOT NULL,
    ADD COLUMN kind TEXT COLLATE "C" NOT NULL DEFAULT 'completion'
        CHECK (kind IN ('completion', 'increment', 'adjustment', 'void', 'hide', 'unhide')),
    ADD COLUMN actor_id TEXT COLLATE "C",
    ADD COLUMN reason TEXT,
    ADD COLUMN voids_log_id BIGINT REFERENCES action_log,
    ADD COLUMN signature TEXT COLLATE "C";

-- A row is reversed once at most ...
CREATE UNIQUE INDEX action_log_voids ON action_log (voids_log_id) WHERE voids_log_id IS NOT NULL;

-- ... a signature counts once, whoever sends it ...
CREATE UNIQUE INDEX action_log_signature ON action_log (signature) WHERE signature IS NOT NULL;

-- ... and an Idempotency-Key belongs to the caller.
DROP INDEX action_log_key;

CREATE UNIQUE INDEX action_log_key
ON action_log (COALESCE(actor_id, account_id), idempotency_key) WHERE idempotency_key IS NOT NULL;

-- When an account last completed an action that limits how often, and how many times on that day.
CREATE TABLE action_uses (
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts,
    action_id TEXT COLLATE "C" NOT NULL REFERENCES actions,
    last_at_ms BIGINT NOT NULL,
    day TEXT COLLATE "C" NOT NULL,
    times INTEGER NOT NULL,
    PRIMARY KEY (account_id, action_id)
) WITH (fillfactor = 67);

-- Who is on no board. Their scores are kept, and go on.
CREATE TABLE hidden_players (
    account_id TEXT COLLATE "C" PRIMARY KEY REFERENCES accounts,
    hidden_at_ms BIGINT NOT NULL
);

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
    audit_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    actor_id TEXT NOT NULL,
    change TEXT NOT NULL,
    subject TEXT NOT NULL,
    reason TEXT,
    detail TEXT NOT NULL
);

-- Record a batch, given as a JSON array of objects and decided in its order: the rules of
-- src/scoreboard/scoring/rules.py, next to the rows. One row comes back for each: its outcome, the log
-- row that it made or met, and, when it was recorded, the account's rows on each of chosen_boards as
-- boards show them (null where it has none). At too_soon, wait_ms is how much longer.
-- The accounts of the batch, those of its actors too, are locked first, in the order of their ids:
-- batches of several servers wait for each other and never in a circle. Every statement below sees what
-- was committed before it began (the function is volatile, the transaction READ COMMITTED), so what was
-- read under the lock is still true when the row is written. at_ms is the instant of the batch; NULL
-- takes the clock's.
CREATE FUNCTION record_batch(items JSON, chosen_boards TEXT [], at_ms BIGINT)
RETURNS TABLE (
    outcome TEXT,
    log_id BIGINT,
    action_id TEXT,
    points INTEGER,
    new_score BIGINT,
    completed_at_ms BIGINT,
    wait_ms BIGINT,
    periods TEXT [],
    totals BIGINT [],
    reached BIGINT [],
    versions BIGINT []
)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    batch_ms BIGINT;
    batch_day TEXT;
    batch_week TEXT;
    account_ids TEXT [];
    hidden TEXT [];
    item RECORD;
    item_slot TEXT;
    item_day TEXT;
    item_week TEXT;
    rule RECORD;
    used RECORD;
    known RECORD;
    is_known BOOLEAN;
    is_limited BOOLEAN;
    board_name TEXT;
    board_period TEXT;
    board_row RECORD;
BEGIN
    -- As an array, which is looked up in the index: of a subquery the planner expects a hundred rows,
    -- and reads all accounts for a single one.
    SELECT array_agg(given.account) || array_agg(given.actor) INTO account_ids
    FROM json_to_recordset(items) AS given(account TEXT, actor TEXT);

    PERFORM 1 FROM accounts AS account
    WHERE account.account_id = ANY (account_ids)
    ORDER BY account.account_id
    FOR NO KEY UPDATE;

    batch_ms = COALESCE(at_ms, floor(extract(EPOCH FROM clock_timestamp()) * 1000));
    batch_day = to_char(to_timestamp(batch_ms / 1000) AT TIME ZONE 'UTC', 'YYYY-MM-DD');
    batch_week = to_char(to_timestamp(batch_ms / 1000) AT TIME ZONE 'UTC', 'IYYY-"W"IW');
    hidden = ARRAY(
        SELECT player.account_id FROM hidden_players AS player
        WHERE player.account_id = ANY (account_ids)
    );

    FOR item IN
        SELECT * FROM ROWS FROM (
            json_to_recordset(items) AS (
                kind TEXT, account TEXT, actor TEXT, action TEXT, points INTEGER, key TEXT,
                fingerprint TEXT, data TEXT, started BIGINT, voids BIGINT, signature TEXT, reason TEXT
            )
        ) WITH ORDINALITY AS given(
            kind, account, actor, action, points, key,
            fingerprint, data, started, voids, signature, reason, place
        )
        ORDER BY place
    LOOP
        outcome = NULL;
        wait_ms = NULL;
        periods = NULL;
        totals = NULL;
        reached = NULL;
        versions = NULL;
        action_id = item.action;
        points = item.points;
        item_slot = NULL;
        item_day = batch_day;
        item_week = batch_week;
        is_known = FALSE;

        IF item.key IS NOT NULL THEN
            SELECT entry.* INTO known FROM action_log AS entry
            WHERE
                COALESCE(entry.actor_id, entry.account_id) = COALESCE(item.actor, item.account)
                AND entry.idempotency_key = item.key;
            is_known = FOUND;
        END IF;

        IF is_known THEN
            outcome = CASE known.fingerprint WHEN item.fingerprint THEN 'replayed' ELSE 'reused' END;
        ELSIF item.kind = 'completion' THEN
            SELECT action.* INTO rule
            FROM actions AS action
            WHERE action.action_id = item.action AND action.retired_at_ms IS NULL;
            IF NOT FOUND THEN
                outcome = 'invalid_action';
            ELSE
                points = rule.points;
                IF rule.repeat = 'unlimited' THEN
                    IF item.key IS NULL THEN
                        outcome = 'key_required';
                    END IF;
                ELSE
                    item_slot = CASE rule.repeat WHEN 'once' THEN 'once' ELSE batch_day END;
                    SELECT entry.* INTO known FROM action_log AS entry
                    WHERE
                        entry.account_id = item.account
                        AND entry.action_id = item.action
                        AND entry.slot = item_slot;
                    is_known = FOUND;
                    IF is_known THEN
                        outcome = 'repeated';
                    END IF;
                END IF;
            END IF;
            IF outcome IS NULL AND rule.min_elapsed_seconds IS NOT NULL THEN
                wait_ms = item.started + rule.min_elapsed_seconds * 1000 - batch_ms;
                IF wait_ms IS NULL THEN
                    outcome = 'start_invalid';
                ELSIF wait_ms > 0 THEN
                    outcome = 'too_soon';
                END IF;
            END IF;
            is_limited = COALESCE(
                rule.min_elapsed_seconds, rule.cooldown_seconds, rule.daily_limit
            ) IS NOT NULL;
            IF outcome IS NULL AND is_limited THEN
                INSERT INTO action_uses AS earlier (account_id, action_id, last_at_ms, day, times)
                VALUES (item.account, item.action, batch_ms, batch_day, 1)
                ON CONFLICT (account_id, action_id) DO UPDATE SET
                    last_at_ms = excluded.last_at_ms,
                    day = excluded.day,
                    times = CASE earlier.day WHEN excluded.day THEN earlier.times + 1 ELSE 1 END
                WHERE
                    (rule.min_elapsed_seconds IS NULL OR earlier.last_at_ms <= item.started)
                    AND (
                        rule.cooldown_seconds IS NULL
                        OR earlier.last_at_ms <= excluded.last_at_ms - rule.cooldown_seconds * 1000
                    )
                    AND (
                        rule.daily_limit IS NULL
                        OR earlier.day <> excluded.day
                        OR earlier.times < rule.daily_limit
                    );
                IF NOT FOUND THEN
                    SELECT earlier.* INTO used FROM action_uses AS earlier
                    WHERE earlier.account_id = item.account AND earlier.action_id = item.action;
                    IF rule.min_elapsed_seconds IS NOT NULL AND used.last_at_ms > item.started THEN
                        outcome = 'start_invalid';
                    ELSE
                        outcome = 'too_soon';
                        wait_ms = GREATEST(
                            used.last_at_ms + rule.cooldown_seconds * 1000 - batch_ms,
                            CASE
                                WHEN used.day = batch_day AND used.times >= rule.daily_limit
                                    THEN 86400000 - batch_ms % 86400000
                            END
                        );
                    END IF;
                END IF;
            END IF;
        ELSIF item.kind = 'increment' THEN
            IF EXISTS (SELECT 1 FROM action_log AS entry WHERE entry.signature = item.signature) THEN
                outcome = 'signature_used';
            END IF;
        ELSIF item.kind = 'void' THEN
            SELECT entry.* INTO known FROM action_log AS entry WHERE entry.voids_log_id = item.voids;
            is_known = FOUND;
            IF is_known THEN
                outcome = 'replayed';
            ELSE
                SELECT entry.* INTO rule FROM action_log AS entry
                WHERE
                    entry.log_id = item.voids
                    AND entry.account_id = item.account
                    AND entry.kind IN ('completion', 'increment', 'adjustment');
                IF NOT FOUND THEN
                    outcome = 'not_found';
                ELSE
                    action_id = rule.action_id;
                    points = -rule.points;
                    item_day = rule.day;
                    item_week = rule.week;
                END IF;
            END IF;
        ELSIF item.kind = 'hide' THEN
            INSERT INTO hidden_players (account_id, hidden_at_ms) VALUES (item.account, batch_ms)
            ON CONFLICT DO NOTHING;
            hidden = hidden || item.account;
        ELSIF item.kind = 'unhide' THEN
            DELETE FROM hidden_players AS player WHERE player.account_id = item.account;
            hidden = array_remove(hidden, item.account);
        END IF;

        IF outcome IS NULL THEN
            outcome = 'recorded';
            log_id = nextval('action_log_ids');
            completed_at_ms = batch_ms;
            new_score = 0;
            FOREACH board_name IN ARRAY chosen_boards LOOP
                board_period
                    = CASE board_name WHEN 'daily' THEN item_day WHEN 'weekly' THEN item_week ELSE '' END;
                IF item.kind IN ('hide', 'unhide') THEN
                    UPDATE scores AS score SET version = score.version + 1
                    WHERE
                        score.board = board_name
                        AND score.period = board_period
                        AND score.account_id = item.account
                    RETURNING score.total, score.reached_log_id, score.version INTO board_row;
                ELSE
                    INSERT INTO scores AS score (board, period, account_id, total, reached_log_id, version)
                    VALUES (board_name, board_period, item.account, points, log_id, 1)
                    ON CONFLICT (board, period, account_id) DO UPDATE SET
                        total = score.total + excluded.total,
                        reached_log_id = excluded.reached_log_id,
                        version = score.version + 1
                    RETURNING score.total, score.reached_log_id, score.version INTO board_row;
                END IF;
                periods = periods || board_period;
                totals = totals || CASE WHEN item.account = ANY (hidden) THEN 0 ELSE board_row.total END;
                reached = reached || board_row.reached_log_id;
                versions = versions || board_row.version;
                IF board_name = 'all-time' THEN
                    new_score = COALESCE(board_row.total, 0);
                END IF;
            END LOOP;
            INSERT INTO action_log (
                log_id, account_id, action_id, slot, idempotency_key, fingerprint, data,
                points, new_score, completed_at_ms, day, week,
                kind, actor_id, reason, voids_log_id, signature
            )
            VALUES (
                log_id, item.account, action_id, item_slot, item.key, item.fingerprint, item.data,
                points, new_score, completed_at_ms, item_day, item_week,
                item.kind, item.actor, item.reason, item.voids, item.signature
            );
            IF item.kind IN ('adjustment', 'void', 'hide', 'unhide') THEN
                INSERT INTO audit (at_ms, actor_id, change, subject, reason, detail)
                VALUES (
                    batch_ms, item.actor, item.kind, item.account, item.reason,
                    json_strip_nulls(json_build_object(
                        'completionId', CASE WHEN points <> 0 THEN CAST(log_id AS TEXT) END,
                        'points', NULLIF(points, 0),
                        'voids', CAST(item.voids AS TEXT)
                    ))
                );
            END IF;
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

-- The function of the step before, for servers of the release before, which go on for a moment after
-- this step. They do not know the new outcomes, and tell their callers that there is no such action.
CREATE OR REPLACE FUNCTION record_completions(
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
LANGUAGE sql
AS $$
    SELECT
        CASE
            WHEN done.outcome IN ('too_soon', 'start_invalid') THEN 'invalid_action'
            ELSE done.outcome
        END,
        done.log_id, done.action_id, done.points, done.new_score, done.completed_at_ms,
        done.totals, done.versions
    FROM record_batch(
        (
            SELECT json_agg(json_build_object(
                'kind', 'completion', 'account', item.account, 'action', item.action,
                'key', item.key, 'fingerprint', item.fingerprint, 'data', item.data
            ) ORDER BY item.place)
            FROM unnest(account_ids, action_ids, keys, fingerprints, datas)
            WITH ORDINALITY AS item(account, action, key, fingerprint, data, place)
        ),
        chosen_boards,
        at_ms
    ) AS done
$$;
