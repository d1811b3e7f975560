-- Completions of different accounts are decided together, in one statement for all of them, instead of
-- one after the other: half of what each costs (docs/performance.md has the figures).

-- Records completions of which no two are of one account, given as a JSON array of objects: by the rules
-- of record_batch, which decides whatever else there is, and with the same rows. The caller holds the
-- locks on the accounts, so that what is read here is still true when it is written: no row of these
-- accounts can be met or made in between. batch_ms is the instant of the batch.
-- Each row of a table is looked up by an index, even where the planner, which takes every array for a
-- hundred rows and remembers its plan from when the log was empty, would read all of it.
CREATE FUNCTION record_together(items JSON, chosen_boards TEXT [], batch_ms BIGINT)
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
SET enable_seqscan TO off
SET plan_cache_mode TO force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    batch_day TEXT = to_char(to_timestamp(batch_ms / 1000) AT TIME ZONE 'UTC', 'YYYY-MM-DD');
    batch_week TEXT = to_char(to_timestamp(batch_ms / 1000) AT TIME ZONE 'UTC', 'IYYY-"W"IW');
    chosen_periods TEXT [];
BEGIN
    chosen_periods = ARRAY(
        SELECT CASE board.name WHEN 'daily' THEN batch_day WHEN 'weekly' THEN batch_week ELSE '' END
        FROM unnest(chosen_boards) WITH ORDINALITY AS board(name, place)
        ORDER BY board.place
    );

    RETURN QUERY
    WITH met AS (
        SELECT
            given.*,
            rule.points AS worth,
            rule.repeat,
            COALESCE(rule.min_elapsed_seconds, rule.cooldown_seconds, rule.daily_limit) IS NOT NULL
                AS is_limited,
            CASE rule.repeat WHEN 'once' THEN 'once' WHEN 'daily' THEN batch_day END AS slot,
            by_key.fingerprint AS known_fingerprint,
            COALESCE(by_key.log_id, by_slot.log_id) AS known_id,
            COALESCE(by_key.action_id, by_slot.action_id) AS known_action,
            COALESCE(by_key.points, by_slot.points) AS known_points,
            COALESCE(by_key.new_score, by_slot.new_score) AS known_score,
            COALESCE(by_key.completed_at_ms, by_slot.completed_at_ms) AS known_ms,
            -- How much longer: since it was started; since the last one, and to the end of the day.
            given.started + rule.min_elapsed_seconds * 1000 - batch_ms AS wait_for_start,
            GREATEST(
                used.last_at_ms + rule.cooldown_seconds * 1000 - batch_ms,
                CASE
                    WHEN used.day = batch_day AND used.times >= rule.daily_limit
                        THEN 86400000 - batch_ms % 86400000
                END
            ) AS wait_for_use,
            rule.min_elapsed_seconds IS NOT NULL
            AND (given.started IS NULL OR used.last_at_ms > given.started) AS is_void,
            given.started IS NULL AND rule.min_elapsed_seconds IS NOT NULL AS is_unstarted,
            EXISTS (
                SELECT 1 FROM hidden_players AS player WHERE player.account_id = given.account
            ) AS is_hidden
        FROM
            ROWS FROM (
                json_to_recordset(items) AS (
                    account TEXT, action TEXT, key TEXT, fingerprint TEXT, data TEXT, started BIGINT
                )
            ) WITH ORDINALITY AS given(account, action, key, fingerprint, data, started, place)
        LEFT JOIN LATERAL (
            SELECT entry.* FROM action_log AS entry
            WHERE
                COALESCE(entry.actor_id, entry.account_id) = given.account
                AND entry.idempotency_key = given.key
            LIMIT 1
        ) AS by_key ON TRUE
        LEFT JOIN LATERAL (
            SELECT action.* FROM actions AS action
            WHERE action.action_id = given.action AND action.retired_at_ms IS NULL
            LIMIT 1
        ) AS rule ON TRUE
        LEFT JOIN LATERAL (
            SELECT entry.* FROM action_log AS entry
            WHERE
                entry.account_id = given.account
                AND entry.action_id = given.action
                AND entry.slot = CASE rule.repeat WHEN 'once' THEN 'once' WHEN 'daily' THEN batch_day END
            LIMIT 1
        ) AS by_slot ON by_key.log_id IS NULL
        LEFT JOIN LATERAL (
            SELECT earlier.* FROM action_uses AS earlier
            WHERE earlier.account_id = given.account AND earlier.action_id = given.action
            LIMIT 1
        ) AS used ON TRUE
        ORDER BY given.place
    ),
    decided AS MATERIALIZED (
        SELECT
            judged.*,
            CASE judged.verdict WHEN 'recorded' THEN nextval('action_log_ids') END AS new_id
        FROM (
            SELECT
                met.*,
                CASE
                    WHEN met.known_fingerprint = met.fingerprint THEN 'replayed'
                    WHEN met.known_fingerprint IS NOT NULL THEN 'reused'
                    WHEN met.repeat IS NULL THEN 'invalid_action'
                    WHEN met.repeat = 'unlimited' AND met.key IS NULL THEN 'key_required'
                    WHEN met.known_id IS NOT NULL THEN 'repeated'
                    WHEN met.is_unstarted THEN 'start_invalid'
                    WHEN met.wait_for_start > 0 THEN 'too_soon'
                    WHEN met.is_void THEN 'start_invalid'
                    WHEN met.wait_for_use > 0 THEN 'too_soon'
                    ELSE 'recorded'
                END AS verdict
            FROM met
            OFFSET 0
        ) AS judged
    ),
    scored AS (
        INSERT INTO scores AS score (board, period, account_id, total, reached_log_id, version)
        SELECT board.name, board.period, decided.account, decided.worth, decided.new_id, 1
        FROM decided CROSS JOIN unnest(chosen_boards, chosen_periods) AS board(name, period)
        WHERE decided.verdict = 'recorded'
        ON CONFLICT (board, period, account_id) DO UPDATE SET
            total = score.total + excluded.total,
            reached_log_id = excluded.reached_log_id,
            version = score.version + 1
        RETURNING score.board, score.account_id, score.total, score.version
    ),
    summed AS MATERIALIZED (
        SELECT
            scored.account_id,
            array_agg(scored.total ORDER BY array_position(chosen_boards, scored.board)) AS totals,
            array_agg(scored.version ORDER BY array_position(chosen_boards, scored.board)) AS versions,
            max(scored.total) FILTER (WHERE scored.board = 'all-time') AS overall
        FROM scored
        GROUP BY scored.account_id
    ),
    logged AS (
        INSERT INTO action_log (
            log_id, account_id, action_id, slot, idempotency_key, fingerprint, data,
            points, new_score, completed_at_ms, day, week
        )
        SELECT
            decided.new_id, decided.account, decided.action, decided.slot, decided.key,
            decided.fingerprint, decided.data, decided.worth, COALESCE(summed.overall, 0), batch_ms,
            batch_day, batch_week
        FROM decided INNER JOIN summed ON summed.account_id = decided.account
    ),
    noted AS (
        INSERT INTO action_uses AS earlier (account_id, action_id, last_at_ms, day, times)
        SELECT decided.account, decided.action, batch_ms, batch_day, 1 FROM decided
        WHERE decided.verdict = 'recorded' AND decided.is_limited
        ON CONFLICT (account_id, action_id) DO UPDATE SET
            last_at_ms = excluded.last_at_ms,
            day = excluded.day,
            times = CASE earlier.day WHEN excluded.day THEN earlier.times + 1 ELSE 1 END
    )
    SELECT
        decided.verdict,
        COALESCE(decided.new_id, decided.known_id),
        CASE WHEN decided.known_id IS NULL THEN decided.action ELSE decided.known_action END,
        COALESCE(decided.known_points, decided.worth),
        COALESCE(decided.known_score, summed.overall, 0),
        COALESCE(decided.known_ms, batch_ms),
        CASE
            WHEN decided.verdict = 'too_soon'
                THEN CASE
                    WHEN decided.wait_for_start > 0 THEN decided.wait_for_start
                    ELSE decided.wait_for_use
                END
        END,
        chosen_periods,
        CASE WHEN decided.is_hidden THEN array_fill(0::BIGINT, ARRAY[cardinality(chosen_boards)])
            ELSE summed.totals END,
        array_fill(decided.new_id, ARRAY[cardinality(chosen_boards)]),
        summed.versions
    FROM decided LEFT JOIN summed ON summed.account_id = decided.account
    ORDER BY decided.place;
END
$$;

-- Record a batch: what can be decided together, then the rest one after the other. The rows come back
-- in that order. The accounts of both parts are locked first, in the order of their ids (see
-- record_batch); at_ms is the instant of the batch, NULL the clock's when the locks are had.
CREATE FUNCTION record_submissions(
    together JSON, apart JSON, chosen_boards TEXT [], at_ms BIGINT
)
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
SET enable_seqscan TO off
AS $$
#variable_conflict use_column
DECLARE
    account_ids TEXT [];
    batch_ms BIGINT;
BEGIN
    IF json_array_length(together) = 0 THEN
        RETURN QUERY SELECT done.* FROM record_batch(apart, chosen_boards, at_ms) AS done;
        RETURN;
    END IF;

    SELECT array_agg(given.account) INTO account_ids
    FROM json_to_recordset(together) AS given(account TEXT);
    IF json_array_length(apart) > 0 THEN
        SELECT account_ids || array_agg(given.account) || array_agg(given.actor) INTO account_ids
        FROM json_to_recordset(apart) AS given(account TEXT, actor TEXT);
    END IF;

    PERFORM 1 FROM accounts AS account
    WHERE account.account_id = ANY (account_ids)
    ORDER BY account.account_id
    FOR NO KEY UPDATE;

    batch_ms = COALESCE(at_ms, floor(extract(EPOCH FROM clock_timestamp()) * 1000));
    RETURN QUERY SELECT done.* FROM record_together(together, chosen_boards, batch_ms) AS done;
    IF json_array_length(apart) > 0 THEN
        RETURN QUERY SELECT done.* FROM record_batch(apart, chosen_boards, batch_ms) AS done;
    END IF;
END
$$;

-- A slice of the log behind a row: where it ends, and, as JSON, the all-time version and total of each
-- account in it. Each is looked up by an index, which the planner would not do while it takes the
-- tables for empty: it would compare every account with every score.
CREATE FUNCTION log_tail(after_id BIGINT, upto_id BIGINT, size BIGINT)
RETURNS TABLE (upto BIGINT, versions TEXT)
LANGUAGE plpgsql
STABLE
SET enable_seqscan TO off
AS $$
BEGIN
    RETURN QUERY
    WITH tail AS (
        SELECT entry.log_id, entry.account_id
        FROM action_log AS entry
        WHERE entry.log_id > after_id AND entry.log_id <= upto_id
        ORDER BY entry.log_id
        LIMIT size
    )
    SELECT
        (SELECT max(tail.log_id) FROM tail),
        CAST(COALESCE(
            json_agg(json_build_array(met.account_id, score.version, score.total)), '[]'
        ) AS TEXT)
    FROM (SELECT DISTINCT tail.account_id FROM tail) AS met
    CROSS JOIN LATERAL (
        SELECT kept.version, kept.total
        FROM standings AS kept
        WHERE kept.board = 'all-time' AND kept.period = '' AND kept.account_id = met.account_id
        LIMIT 1
    ) AS score;
END
$$;
