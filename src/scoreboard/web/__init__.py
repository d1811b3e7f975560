"""HTTP: routes by subject, bad input turned away, errors in one form."""
