"""Whether a folder has all that a model needs, by the names and headers of its files."""

from __future__ import annotations

from pathlib import Path

from engine.model_files.errors import ConfigMissing, TokenizerMissing
from engine.model_files.tokenizer_files import tokenizer_files
from engine.model_files.weight_files import WeightChoice, weight_choices


def check_folder(path: Path) -> list[WeightChoice]:
    """The choices of weights, best first.

    Raises:
        ConfigMissing, WeightsMissing, BrokenWeights, TokenizerMissing: something is missing or damaged.
    """
    if not (path / "config.json").is_file():
        raise ConfigMissing(f"{path} has no config.json; name the folder of an MLX model")
    choices = weight_choices(path)
    if not tokenizer_files(path):
        raise TokenizerMissing(f"{path} has no tokenizer (such as tokenizer.json); download the model again")
    return choices
