"""Who takes part: the service itself and its peers, each on a free port of loopback."""
