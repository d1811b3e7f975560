-- A batch no longer waits for accounts and actions that another session has locked: the submissions
-- that need them are left out, and the rest of the batch is recorded.

-- Record a batch: what can be decided together, then the rest one after the other. `place` counts the
-- submissions of both parts from 1. A submission that cannot be decided now has the outcome 'locked'
-- (another session holds a lock on an account or the action that it needs) or 'unknown' (its account
-- does not exist; that of an actor need not); nothing is recorded for it.
-- The accounts of the batch, those of its actors too, are locked before anything is decided. A batch
-- waits for no account and no action, so batches of several servers cannot wait for each other in a
-- circle. Every statement sees what was committed before it began (the function is volatile, the
-- transaction READ COMMITTED), so what is read under these locks is still true when a row is written.
-- at_ms is the instant of the batch; NULL takes the clock's, once the locks are held. The lock on an
-- action is the one that the foreign key of the log takes anyway.
-- Only a session that is not ours locks an account's scores or uses without the account. To look for
-- such locks beforehand costs a third of the batch, so it is done if is_careful says so.
CREATE FUNCTION record_unlocked(
    together JSON, apart JSON, chosen_boards TEXT [], at_ms BIGINT, is_careful BOOLEAN
)
RETURNS TABLE (
    place BIGINT,
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
    action_ids TEXT [];
    free_accounts TEXT [];
    free_actions TEXT [];
    locked_accounts TEXT [];
    locked_actions TEXT [];
    places BIGINT [];
    refused JSON;
    size BIGINT;
    batch_ms BIGINT;
    batch_time TIMESTAMP;
    current_periods TEXT [];
BEGIN
    account_ids = ARRAY(
        SELECT given.account FROM json_to_recordset(together) AS given(account TEXT)
        UNION
        SELECT named.account_id
        FROM json_to_recordset(apart) AS given(account TEXT, actor TEXT)
        CROSS JOIN LATERAL (VALUES (given.account), (given.actor)) AS named(account_id)
        WHERE named.account_id IS NOT NULL
    );
    action_ids = ARRAY(
        SELECT given.action FROM json_to_recordset(together) AS given(action TEXT)
        UNION
        SELECT given.action FROM json_to_recordset(apart) AS given(action TEXT)
        WHERE given.action IS NOT NULL
    );
    free_accounts = ARRAY(
        SELECT account.account_id FROM accounts AS account
        WHERE account.account_id = ANY (account_ids)
        FOR NO KEY UPDATE SKIP LOCKED
    );
    free_actions = ARRAY(
        SELECT action.action_id FROM actions AS action
        WHERE action.action_id = ANY (action_ids)
        FOR KEY SHARE SKIP LOCKED
    );

    IF is_careful THEN
        batch_ms = COALESCE(at_ms, floor(extract(EPOCH FROM clock_timestamp()) * 1000));
        batch_time = to_timestamp(batch_ms / 1000) AT TIME ZONE 'UTC';
        current_periods
            = ARRAY['', to_char(batch_time, 'YYYY-MM-DD'), to_char(batch_time, 'IYYY-"W"IW')];
        free_accounts = ARRAY(
            WITH free_scores AS (
                SELECT score.board, score.period, score.account_id FROM scores AS score
                WHERE
                    score.board = ANY (chosen_boards)
                    AND score.period = ANY (current_periods)
                    AND score.account_id = ANY (free_accounts)
                FOR NO KEY UPDATE SKIP LOCKED
            ),
            free_uses AS (
                SELECT used.account_id, used.action_id FROM action_uses AS used
                WHERE used.account_id = ANY (free_accounts) AND used.action_id = ANY (action_ids)
                FOR NO KEY UPDATE SKIP LOCKED
            )
            SELECT free.account_id FROM unnest(free_accounts) AS free(account_id)
            EXCEPT
            SELECT locked.account_id
            FROM (
                SELECT score.board, score.period, score.account_id FROM scores AS score
                WHERE
                    score.board = ANY (chosen_boards)
                    AND score.period = ANY (current_periods)
                    AND score.account_id = ANY (free_accounts)
                EXCEPT
                SELECT free_scores.* FROM free_scores
            ) AS locked
            EXCEPT
            SELECT locked.account_id
            FROM (
                SELECT used.account_id, used.action_id FROM action_uses AS used
                WHERE used.account_id = ANY (free_accounts) AND used.action_id = ANY (action_ids)
                EXCEPT
                SELECT free_uses.* FROM free_uses
            ) AS locked
        );
    END IF;

    IF
        cardinality(free_accounts) < cardinality(account_ids)
        OR cardinality(free_actions) < cardinality(action_ids)
    THEN
        locked_accounts = ARRAY(
            SELECT account.account_id FROM accounts AS account
            WHERE account.account_id = ANY (account_ids) AND account.account_id <> ALL (free_accounts)
        );
        locked_actions = ARRAY(
            SELECT action.action_id FROM actions AS action
            WHERE action.action_id = ANY (action_ids) AND action.action_id <> ALL (free_actions)
        );
        SELECT
            COALESCE(json_agg(one.item) FILTER (WHERE one.verdict IS NULL AND one.part = 1), '[]'),
            COALESCE(json_agg(one.item) FILTER (WHERE one.verdict IS NULL AND one.part = 2), '[]'),
            array_agg(one.place) FILTER (WHERE one.verdict IS NULL),
            json_agg(one) FILTER (WHERE one.verdict IS NOT NULL)
        INTO together, apart, places, refused
        FROM (
            SELECT
                given.item,
                part.number AS part,
                row_number() OVER (ORDER BY part.number, given.place) AS place,
                CASE
                    WHEN
                        given.item ->> 'account' = ANY (locked_accounts)
                        OR given.item ->> 'actor' = ANY (locked_accounts)
                        OR given.item ->> 'action' = ANY (locked_actions)
                        THEN 'locked'
                    WHEN given.item ->> 'account' <> ALL (free_accounts) THEN 'unknown'
                END AS verdict
            FROM (VALUES (1, together), (2, apart)) AS part(number, items)
            CROSS JOIN LATERAL json_array_elements(part.items) WITH ORDINALITY AS given(item, place)
            ORDER BY part.number, given.place
        ) AS one;

        RETURN QUERY
        SELECT
            one.place, one.verdict, NULL::BIGINT, NULL, NULL::INTEGER, NULL::BIGINT, NULL::BIGINT,
            NULL::BIGINT, NULL::TEXT [], NULL::BIGINT [], NULL::BIGINT [], NULL::BIGINT []
        FROM json_to_recordset(refused) AS one(place BIGINT, verdict TEXT);
    END IF;

    batch_ms = COALESCE(at_ms, floor(extract(EPOCH FROM clock_timestamp()) * 1000));
    size = json_array_length(together);
    IF size > 0 THEN
        RETURN QUERY
        SELECT
            COALESCE(places[done.place], done.place), done.outcome, done.log_id, done.action_id,
            done.points, done.new_score, done.completed_at_ms, done.wait_ms, done.periods,
            done.totals, done.reached, done.versions
        FROM record_together(together, chosen_boards, batch_ms) WITH ORDINALITY AS done(
            outcome, log_id, action_id, points, new_score, completed_at_ms, wait_ms, periods,
            totals, reached, versions, place
        );
    END IF;
    IF json_array_length(apart) > 0 THEN
        RETURN QUERY
        SELECT
            COALESCE(places[size + done.place], size + done.place), done.outcome, done.log_id,
            done.action_id, done.points, done.new_score, done.completed_at_ms, done.wait_ms,
            done.periods, done.totals, done.reached, done.versions
        FROM record_batch(apart, chosen_boards, batch_ms) WITH ORDINALITY AS done(
            outcome, log_id, action_id, points, new_score, completed_at_ms, wait_ms, periods,
            totals, reached, versions, place
        );
    END IF;
END
$$;
