-- Nobody else changes refresh tokens: a transaction that may write is the only one there is.
SELECT 1 AS locked
