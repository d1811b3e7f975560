-- Decide what can be decided of a batch now, append what counts to the log, and add it to the scores.
SELECT * FROM record_unlocked(
    CAST(:together AS JSON), CAST(:apart AS JSON), :boards, CAST(:at_ms AS BIGINT), :is_careful
)
