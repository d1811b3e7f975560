-- Decide a batch, append what counts to the log, and add it to the scores.
SELECT * FROM record_submissions(
    CAST(:together AS JSON), CAST(:apart AS JSON), :boards, CAST(:at_ms AS BIGINT)
)
