-- A slice of the log behind a row: where it ends, and, as JSON, the all-time version and total of
-- each account in it.
SELECT * FROM log_tail(:after, :upto, :size)
