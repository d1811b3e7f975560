"""Starlette as its users write it, without anything of Scoreboard."""
