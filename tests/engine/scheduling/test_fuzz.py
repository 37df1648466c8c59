"""Under random requests, cancels and faults each request ends as it should, and nothing is left of it.

The long run is `python -m tests.engine.fuzz`.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from tests.engine.fuzz import Fuzz, ModelKind
from tests.models import ModelShelf


@pytest.mark.slow
@pytest.mark.parametrize("kind", get_args(ModelKind))
async def test_nothing_that_clients_or_the_model_do_disturbs_others(
    shelf: ModelShelf, tmp_path: Path, kind: ModelKind
) -> None:
    report = await Fuzz(shelf, tmp_path, kind, seed=5, life=20).run(60)
    assert report.faults == []
    assert report.lives == 3
    assert report.thrown > 0
    assert {"finished", "cancelled", "bad", "stopped"} <= report.outcomes.keys()
