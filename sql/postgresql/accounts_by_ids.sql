-- The accounts with these ids, a JSON array. As an array of SQL they are looked up in the index: of a
-- subquery the planner expects a hundred rows, and may read all accounts for a single one.
SELECT account_id, username
FROM accounts
WHERE account_id = ANY (ARRAY(SELECT json_array_elements_text(CAST(:account_ids AS JSON))))
