"""What the measurements stand on is itself tested before anything is measured."""
