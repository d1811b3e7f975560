"""The running service under random requests, drawn from the document that it serves itself."""
