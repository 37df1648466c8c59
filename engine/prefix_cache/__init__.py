"""The prefix cache: what was computed for a prompt, kept for the prompts that begin alike."""
