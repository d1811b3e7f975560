"""Load that costs less than what it measures: two small programs in C, and their Python face.

The client shares the machine with the server, so a client in Python would be what is measured.
`requests` asks and times the answers, `Streams` follows a live stream many times over.
"""

from bench.load.answers import PLACE, Answers, Latency, requests
from bench.load.deliveries import Closed, Delivery, Opened, Streams, Sums
from bench.load.programs import Missing, build

__all__ = [
    "PLACE",
    "Answers",
    "Closed",
    "Delivery",
    "Latency",
    "Missing",
    "Opened",
    "Streams",
    "Sums",
    "build",
    "requests",
]
