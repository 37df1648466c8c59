"""Broken arguments made whole where no doubt is left about what was meant."""
