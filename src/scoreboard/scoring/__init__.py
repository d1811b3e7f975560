"""Recording completions: many requests, one durable transaction, each its own right answer."""
