"""What leads from a request or a session to all that there is of it, and back again."""
