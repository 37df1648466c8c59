"""The verification finds caches exact, and finds out those that are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import mlx.core as mx
import pytest

from engine import cache_verification
from engine.cache_verification import CONTROLS, EXACT, conversations, is_exact, main, report, verify
from engine.model_loading import load_model
from engine.prefix_cache import Match
from engine.radix_cache import RadixPrefixCache
from engine.random_model import Architecture
from tests.models import ModelShelf


class Bent(RadixPrefixCache):
    """A cache that gives back other numbers than it was given."""

    def lookup(self, tokens: Sequence[int] | Any) -> Match:
        match = super().lookup(tokens)
        for layer in match.cache or []:
            layer.keys = layer.keys * mx.array(1.5)
        return match


@pytest.mark.parametrize("architecture", ["qwen3", "gemma3_text", "qwen3_5"])
def test_what_is_reused_is_exact(shelf: ModelShelf, architecture: Architecture) -> None:
    loaded = load_model(shelf.tiny(architecture))
    made = conversations(loaded, count=2, turns=2, head=150, seed=1)
    done: list[int] = []
    outcomes = verify(loaded, made, chunk=64, answer_tokens=4, on_progress=done.append)
    assert done == [1, 2]
    assert {way: is_exact(outcomes[way]) for way in EXACT} == dict.fromkeys(EXACT, True)
    assert all(outcomes[way].largest < 1e-2 for way in CONTROLS)
    assert outcomes["disk"].reused == outcomes["warm"].reused > 2 * 150
    assert report(outcomes)[-1].startswith("Exact:")


def test_quantized_keys_and_a_draft_model_are_exact_too(shelf: ModelShelf) -> None:
    loaded = load_model(shelf.tiny())
    made = conversations(loaded, count=1, turns=2, head=150, seed=2)
    for run_as in (replace(loaded, kv_bits=8), replace(loaded, draft=loaded)):
        outcomes = verify(run_as, made, chunk=64, answer_tokens=4)
        assert is_exact(outcomes["warm"])
        assert is_exact(outcomes["disk"])


def test_a_cache_that_bends_numbers_is_found_out(
    shelf: ModelShelf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cache_verification, "RadixPrefixCache", Bent)
    arguments = ["--conversations", "1", "--turns", "2", "--head", "100", "--answer", "3"]
    assert main(["--model", str(shelf.tiny()), *arguments]) == 1
    out = capsys.readouterr().out
    assert "NOT EXACT: warm and disk runs differ" in out
    assert "turn 2" in out or "0.0" not in out.split("warm")[1].splitlines()[0]


def test_a_model_that_cannot_be_loaded_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", "/no/such/folder"]) == 4
    assert "no folder /no/such/folder" in capsys.readouterr().err


def test_more_than_the_model_takes_is_one_line_before_anything_is_computed(
    shelf: ModelShelf, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--model", str(shelf.tiny()), "--head", "999999999"])
    assert "choose a smaller --head" in capsys.readouterr().err
