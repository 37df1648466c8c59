"""Free heap pages are returned where the C library supports it."""

from __future__ import annotations

import sys

import pytest

from engine.memory.heap import trim_heap


@pytest.mark.parametrize("platform", [sys.platform, "darwin"])
def test_it_is_trimmed_where_that_is_possible(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    trim_heap()
