"""The parts of a prompt: their names for people, and how many tokens each has."""
