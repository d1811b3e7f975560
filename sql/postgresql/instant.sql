-- The instant that a batch would have now.
SELECT
    CAST(COALESCE(CAST(:at_ms AS BIGINT), floor(extract(EPOCH FROM clock_timestamp()) * 1000)) AS BIGINT)
    AS now_ms
