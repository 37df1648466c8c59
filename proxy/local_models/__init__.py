"""Models on this machine: where they are kept, what fits, and how fast each was measured."""
