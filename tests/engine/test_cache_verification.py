"""The verification finds caches exact, and finds out those that are not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from bench.random_model import Architecture
from engine import cache_verification
from engine.cache_verification import (
    CARRIED,
    CONTROLS,
    EXACT,
    ComparedAnswer,
    NotComparable,
    Outcome,
    conversations,
    is_exact,
    main,
    report,
    verify,
)
from engine.chunks.fit import ChunkFit
from engine.models.fingerprint import cache_fingerprint
from engine.models.loading import load_model
from engine.prefix_cache.cache import RadixPrefixCache
from engine.prefix_cache.interface import NOBODY, CacheUser, Match
from engine.trials.models import CHUNKS_FILE, libraries
from tests.engine.model_thread import Observed
from tests.models import ModelShelf, tiny_model


class Bent(RadixPrefixCache):
    """A cache that gives back other numbers than it was given."""

    def lookup(self, tokens: Sequence[int] | Any, user: CacheUser = NOBODY) -> Match:
        match = super().lookup(tokens, user)
        for layer in match.cache or []:
            layer.keys = layer.keys * mx.array(1.5)
        return match


class FastProducts:
    """A model whose last bits depend on how many tokens are computed together, as with a fast BLAS."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def __call__(self, inputs: mx.array, cache: list[Any]) -> Any:
        logits = self._model(inputs, cache=cache)
        for layer in cache:
            new = slice(layer.offset - inputs.shape[1], layer.offset)
            layer.keys[..., new, :] *= 1 + inputs.shape[1] / 1e4
        return logits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


@pytest.mark.parametrize("architecture", ["qwen3", "gemma3_text", "qwen3_5"])
def test_what_is_reused_is_exact_where_chunks_get_shorter_with_depth(
    shelf: ModelShelf, monkeypatch: pytest.MonkeyPatch, architecture: Architecture
) -> None:
    monkeypatch.setattr("engine.chunks.boundaries.HALVED_AT", 96)
    monkeypatch.setattr("engine.chunks.boundaries.SMALLEST", 8)
    loaded = load_model(shelf.tiny(architecture))
    lengths: list[int] = []
    watched = replace(loaded, model=Observed(loaded.model, lambda rows: lengths.append(len(rows[0]))))
    made = conversations(loaded, count=1, turns=3, head=250, seed=3)
    outcomes = verify(watched, made, chunk=48, answer_tokens=4)
    assert {way: is_exact(outcomes[way]) for way in EXACT} == dict.fromkeys(EXACT, True)
    assert outcomes["disk"].reused == outcomes["warm"].reused > 2 * 250
    assert {48, 24, 12, 8} <= set(lengths)


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


def test_with_a_draft_model_like_is_compared_with_like(shelf: ModelShelf, tmp_path: Path) -> None:
    guessing = load_model(tiny_model(tmp_path / "draft", seed=5))
    loaded = load_model(shelf.tiny())
    loaded = replace(loaded, model=FastProducts(loaded.model), draft=guessing)
    outcomes = verify(
        loaded, conversations(loaded, count=1, turns=3, head=100, seed=2), chunk=64, answer_tokens=8
    )
    assert {way: is_exact(outcomes[way]) for way in EXACT} == dict.fromkeys(EXACT, True)
    assert outcomes["stepped"].largest > 0
    assert outcomes[CARRIED].other_tokens == outcomes["stepped"].other_tokens == 0
    assert outcomes[CARRIED].largest < 1e-2
    exact, explained = report(outcomes)[-2:]
    assert exact.startswith("Exact:")
    assert "compared with carried" in explained


def test_a_cache_that_bends_numbers_is_found_out_beside_a_draft_model(
    shelf: ModelShelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_verification, "RadixPrefixCache", Bent)
    loaded = load_model(shelf.tiny())
    loaded = replace(loaded, draft=loaded)
    outcomes = verify(
        loaded, conversations(loaded, count=1, turns=2, head=100, seed=1), chunk=64, answer_tokens=3
    )
    assert not is_exact(outcomes["warm"])
    assert not is_exact(outcomes["disk"])


def test_prompts_are_computed_in_the_chunks_that_the_engine_remembers(
    shelf: ModelShelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks: list[int] = []

    def noted(*_: Any, chunk: int, **__: Any) -> dict[str, Outcome]:
        chunks.append(chunk)
        return {way: Outcome() for way in (*EXACT, *CONTROLS)}

    monkeypatch.setattr(cache_verification, "verify", noted)
    folder = tmp_path / "kv-cache"
    folder.mkdir()
    name = cache_fingerprint(load_model(shelf.tiny()).fingerprint, libraries())
    fit = ChunkFit(96, 0.01, 0.001, (128, 512), (1000.0, 1000.0))
    (folder / CHUNKS_FILE).write_text(json.dumps({name: asdict(fit)}))
    assert main(["--model", str(shelf.tiny()), "--kv-cache-dir", str(folder)]) == 0
    assert chunks == [96]


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


def compared(first: list[float], second: list[float]) -> Outcome:
    outcome = Outcome()
    outcome.add(ComparedAnswer([1], {0: mx.array(first)}), ComparedAnswer([1], {0: mx.array(second)}), "one")
    return outcome


def test_a_difference_beside_masked_tokens_is_found() -> None:
    masked = float("-inf")
    assert is_exact(compared([1.0, masked], [1.0, masked]))
    assert compared([1.0, 2.0, masked], [0.5, 2.0, masked]).largest == 0.5
    assert not is_exact(compared([1.0, masked], [1.0, 2.0]))


def test_nan_is_equal_to_nothing() -> None:
    for first, second in ([[1.0, float("nan")]] * 2, [[1.0, 2.0], [1.0, float("nan")]]):
        with pytest.raises(NotComparable):
            compared(first, second)


def test_a_model_that_computes_nan_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tiny_model(tmp_path / "model")
    weights = mx.load(str(path / "model.safetensors"))
    assert isinstance(weights, dict)
    broken = {name: array * float("nan") if "norm" in name else array for name, array in weights.items()}
    mx.eval(broken)
    mx.save_safetensors(str(path / "model.safetensors"), broken, {"format": "mlx"})
    arguments = ["--conversations", "1", "--turns", "1", "--head", "50", "--answer", "2"]
    assert main(["--model", str(path), *arguments]) == 4
    told = capsys.readouterr()
    assert "this model computes NaN" in told.err.splitlines()[-1]
    assert told.out == ""


@pytest.mark.parametrize("option", ["--conversations", "--turns", "--head", "--answer", "--draft-tokens"])
@pytest.mark.parametrize("value", ["0", "-3", "many"])
def test_nothing_to_compare_is_a_wrong_option(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([option, value])
    assert f"{option}: must be a whole number of 1 or more" in capsys.readouterr().err


def test_a_setting_that_the_engine_refuses_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--draft-tokens", "99"])
    assert "draft_tokens" in capsys.readouterr().err


def test_an_interrupt_is_one_line(
    shelf: ModelShelf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any, **__: Any) -> dict[str, Outcome]:
        raise KeyboardInterrupt

    monkeypatch.setattr(cache_verification, "verify", interrupted)
    assert main(["--model", str(shelf.tiny())]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_more_than_the_model_takes_is_one_line_before_anything_is_computed(
    shelf: ModelShelf, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--model", str(shelf.tiny()), "--head", "999999999"])
    assert "choose a smaller --head" in capsys.readouterr().err
