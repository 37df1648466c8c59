"""Model folders become loaded models."""
