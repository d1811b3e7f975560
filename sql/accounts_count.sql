-- How many accounts there are.
SELECT COUNT(*) AS accounts FROM accounts
