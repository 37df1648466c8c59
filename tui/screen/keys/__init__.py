"""The commands of the user: what one is, the table of all, and their keys."""
