from __future__ import annotations

from pathlib import Path

import pytest

from engine import bundled_model
from tui.commands.model_size import billions_of, on_diet


@pytest.mark.parametrize(
    ("model", "billions"),
    [
        ("mlx-community/Qwen3-Coder-30B-A3B-Instruct-4bit", 30),
        ("/models/Qwen3-0.6B-MLX-bf16", 0.6),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", 56),
        ("qwen3:4b", 4),
        ("gpt-oss-20b", 20),
        ("google/gemma-3-270m-it", 0.27),
        ("/models/70B/Llama-3.2-3B", 3),
        ("GLM-4.5-Air", 0),
        ("gemma-3n-E4B", 0),
        ("model-4bit", 0),
        ("/no/such/folder", 0),
        ("", 0),
    ],
)
def test_the_size_is_in_the_name(model: str, billions: float) -> None:
    assert billions_of(model) == pytest.approx(billions)


def test_or_in_the_weights() -> None:
    folder = Path(bundled_model.__file__).parent
    weights = (folder / "model.safetensors").stat().st_size
    assert 0 < billions_of(str(folder)) < weights / 1e9


@pytest.mark.parametrize(
    ("setting", "model", "diet"),
    [
        (False, "a-1B", False),
        (True, "a-70B", True),
        (True, "unknown", True),
        (10.0, "a-10B", True),
        (10.0, "a-14B", False),
        (10.0, "unknown", False),
    ],
)
def test_a_model_gets_the_shorter_prompt_up_to_a_size(setting: bool | float, model: str, diet: bool) -> None:
    assert on_diet(setting, model) is diet
