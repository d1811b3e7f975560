-- Note who changed what, when and why.
INSERT INTO audit (at_ms, actor_id, change, subject, reason, detail)
VALUES (:at_ms, :actor_id, :change, :subject, :reason, :detail)
