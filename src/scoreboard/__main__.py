"""`python -m scoreboard` is the `scoreboard` command."""

from scoreboard.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
