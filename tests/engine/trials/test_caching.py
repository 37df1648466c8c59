"""A model whose caches cannot be stored and restored runs without the prefix cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx_lm.models.cache import KVCache

from engine.cache_verification import main as verify_cache
from engine.models.loading import LoadedModel, OnProgress, load_model
from engine.prefix_cache.cache import RadixPrefixCache
from engine.prompts.answer_memory import AnswerMemory
from engine.scheduling.runner import ModelRunner
from engine.settings import EngineSettings
from engine.startup import attach_disk, learn_sizes
from engine.trials.caching import restore_fault
from tests.engine.model_thread import answer, ask, running
from tests.models import ModelShelf


class Own(KVCache):
    """A cache class that is not one of mlx-lm's, and works as those do."""


class NoSetter(KVCache):
    """As DeepSeek V4.1's: its state can be looked at, and that is all."""

    @property
    def state(self) -> Any:
        return KVCache.state.fget(self)  # type: ignore[attr-defined]


class NoState:
    """Knows nothing of states."""

    def __init__(self) -> None:
        self._inner = [KVCache()]
        self.keys: Any = None

    @property
    def offset(self) -> int:
        return self._inner[0].offset

    def update_and_fetch(self, keys: mx.array, values: mx.array) -> Any:
        self.keys, self.values = self._inner[0].update_and_fetch(keys, values)
        return self.keys, self.values

    def make_mask(self, *args: Any, **kwargs: Any) -> Any:
        return self._inner[0].make_mask(*args, **kwargs)


class Shared(KVCache):
    """A copy of it is the same object."""

    def __deepcopy__(self, memo: Any) -> Shared:
        return self


class Forgetful(KVCache):
    """What is put back has lost something."""

    @property
    def state(self) -> Any:
        return KVCache.state.fget(self)  # type: ignore[attr-defined]

    @state.setter
    def state(self, value: Any) -> None:
        KVCache.state.fset(self, [array * 0 for array in value])  # type: ignore[attr-defined]


def with_caches(loaded: LoadedModel, kind: type[Any]) -> LoadedModel:
    loaded.model.make_cache = lambda: [kind() for _ in loaded.model.layers]
    return loaded


@pytest.fixture
def loaded(shelf: ModelShelf) -> LoadedModel:
    return load_model(shelf.tiny())


@pytest.mark.parametrize("kind", [KVCache, Own])
def test_caches_that_are_restored_exactly_are_used(loaded: LoadedModel, kind: type[Any]) -> None:
    assert restore_fault(ModelRunner(with_caches(loaded, kind))) == ""


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (
            NoSetter,
            "the state of NoSetter cannot be restored (property 'state' of 'NoSetter' object has no setter)",
        ),
        (NoState, "the state of NoState cannot be restored"),
        (Shared, "the state of Shared differs once it is restored"),
        (Forgetful, "the state of Forgetful differs once it is restored"),
    ],
)
async def test_a_model_with_other_caches_runs_without_the_prefix_cache_and_it_is_said(
    tmp_path: Path, loaded: LoadedModel, caplog: pytest.LogCaptureFixture, kind: type[Any], says: str
) -> None:
    expected = []
    with running(lambda on_progress: loaded) as scheduler:
        expected = (await answer(scheduler, ask(range(40), 6))).tokens
    cache = RadixPrefixCache(max_bytes=1 << 28)

    def load(on_progress: OnProgress) -> LoadedModel:
        other = learn_sizes(cache, with_caches(loaded, kind))
        settings = EngineSettings(kv_cache_dir=str(tmp_path / "kv"), disk_cache_bytes=1 << 20)
        attach_disk(cache, AnswerMemory(), other, settings, "")
        return other

    with running(load, cache=cache) as scheduler:
        got = [await answer(scheduler, ask(range(40), 6)) for _ in range(2)]
        assert scheduler.loaded is not None
        assert says in scheduler.loaded.notes[-1]
        assert scheduler.stats()["prefix_cache"]["budget_bytes"] == 0
    assert [each.tokens for each in got] == [expected, expected]
    assert got[1].lookup.matched_tokens == 0
    assert got[1].lookup.miss is not None
    assert got[1].lookup.miss.reason == "disabled"
    assert f"the prefix cache is off, each prompt is computed whole: {says}" in caplog.text
    cache.close()


def test_there_is_nothing_to_verify_then_and_the_command_says_so(
    monkeypatch: pytest.MonkeyPatch, loaded: LoadedModel, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("engine.cache_verification.load", lambda *_: with_caches(loaded, NoSetter))
    assert verify_cache([]) == 4
    assert "runs without a prefix cache: the state of NoSetter" in capsys.readouterr().err
