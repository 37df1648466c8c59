"""The demo model that ships with the program: an ordinary mlx-lm model folder, and the code that made it."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent
"""Weights, tokenizer, chat template and model card."""

NAME = "bundled demo model"
"""What it is called on screens and in lists of models."""

CHOOSE = "choose a real one with --model FOLDER_OR_HUB_ID"
"""How to get another; said wherever its name is."""
