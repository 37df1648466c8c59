"""What the engine may take of the machine's memory, what takes it, and who has to wait for it."""
