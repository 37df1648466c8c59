"""The prefix cache: KV and checkpoints of prompts, stored for prompts with the same prefix."""
