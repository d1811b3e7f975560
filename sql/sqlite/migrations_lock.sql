-- Nobody else is at a step of the schema: a transaction that may write is the only one there is.
SELECT 1 AS locked
