"""The truth: the database, its SQL files, and what is read from and written to it."""
