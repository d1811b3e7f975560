"""Scoreboard: complete an action, earn points that only the server decides, watch the top 10 move.

`ARCHITECTURE.md` draws the way of a completion and of a frame through these packages.
"""

__version__ = "0.1.0"
