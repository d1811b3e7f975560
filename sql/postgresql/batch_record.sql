-- Decide a batch, append what counts to the log, and add it to the scores.
SELECT * FROM record_batch(CAST(:items AS JSON), :boards, CAST(:at_ms AS BIGINT))
