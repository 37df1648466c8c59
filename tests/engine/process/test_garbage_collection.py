"""What a process imports to keep is out of the garbage collector's way, which then works as before."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from engine.process.garbage_collection import collection_held


@pytest.fixture
def froze(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """For each time that all objects there are were put aside, whether the collector was off."""
    times: list[bool] = []
    monkeypatch.setattr(gc, "freeze", lambda: times.append(not gc.isenabled()))
    yield times
    gc.enable()


def test_nothing_is_collected_in_the_block_and_what_came_in_it_never_looked_at(froze: list[bool]) -> None:
    with collection_held():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert froze == [True]


def test_an_import_that_fails_leaves_the_collector_on(froze: list[bool]) -> None:
    with pytest.raises(ImportError), collection_held():
        raise ImportError
    assert gc.isenabled()


def test_a_collector_that_is_off_stays_off(froze: list[bool]) -> None:
    gc.disable()
    with collection_held():
        pass
    assert not gc.isenabled()
    assert froze == []
