"""Under random faults of the device no answer is wrong, nothing wrong is on disk, and each request ends.

The long run is `python -m tests.engine.device_fuzz`.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from tests.engine.device_fuzz import DeviceFuzz
from tests.engine.fuzz import ModelKind
from tests.models import ModelShelf


@pytest.mark.slow
@pytest.mark.parametrize("kind", get_args(ModelKind))
async def test_spans_that_the_device_did_not_compute_are_neither_restored_nor_stored(
    shelf: ModelShelf, tmp_path: Path, kind: ModelKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = await DeviceFuzz(shelf, tmp_path, kind, seed=7, patch=monkeypatch, life=15).run(60)
    assert report.faults == []
    assert report.lives == 4
    assert report.thrown > 0
    assert {"finished", "cancelled", "device"} <= report.outcomes.keys()
    assert report.loop["device_faults"] > 0
