"""Real servers, stopped, killed, frozen and cut off under load; and what must hold afterwards."""
