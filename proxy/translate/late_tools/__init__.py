"""Tools that come, change or go while a conversation runs, kept out of the beginning of its prompt."""
