-- Decide a batch of completions, append those that count to the log, and add them to the scores.
SELECT * FROM record_completions(
    :account_ids, :action_ids, :keys, :fingerprints, :datas, :boards, CAST(:at_ms AS BIGINT)
)
