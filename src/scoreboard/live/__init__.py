"""The live top 10: read when it changed, encoded once, handed to every open stream."""
