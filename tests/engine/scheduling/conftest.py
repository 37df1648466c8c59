"""What tests of the model's thread share: one that runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.scheduling.scheduler import Scheduler
from tests.engine.model_thread import running
from tests.models import ModelShelf


@pytest.fixture(scope="module")
def scheduler(shelf: ModelShelf) -> Iterator[Scheduler]:
    with running(shelf.tiny(), prefill_chunk=16) as scheduler:
        yield scheduler
