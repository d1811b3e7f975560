-- Tell running servers that the scores were rebuilt.
INSERT INTO rebuilds (finished_at_ms) VALUES (:now)
