"""With little memory and a device that fails, each request ends, none wrongly, and no reservation is left.

`--hypothesis-profile=thorough` takes a second seed; the long run is `python -m tests.engine.memory_fuzz`.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import settings

from tests.engine.fuzz import ModelKind
from tests.engine.memory_fuzz import run
from tests.models import ModelShelf

SEEDS = (3005, 3007)  # with either each kind makes way, and its device fails and recovers


@pytest.mark.slow
@pytest.mark.parametrize("kind", get_args(ModelKind))
async def test_preemption_during_device_faults_changes_no_answer(
    shelf: ModelShelf, tmp_path: Path, kind: ModelKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = SEEDS if settings.get_current_profile_name() == "thorough" else SEEDS[:1]
    report = await run(shelf, tmp_path, kind, seeds, patch=monkeypatch)
    assert report.faults == []
    assert report.made_way > 0
    assert report.loop["device_faults"] > 0
    assert report.outcomes["finished"] > 0
