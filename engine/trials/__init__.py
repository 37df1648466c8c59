"""Trials: measure and check a loaded model by running it."""
