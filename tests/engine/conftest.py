"""Models that several test modules share, each made once in a run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.models import ModelShelf


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> ModelShelf:
    return ModelShelf(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def tokenizer(shelf: ModelShelf) -> Any:
    """mlx-lm's wrapper around the random models' tokenizer and template."""
    from engine.models.tokenizer_loading import load_tokenizer

    return load_tokenizer(shelf.tiny()).tokenizer
