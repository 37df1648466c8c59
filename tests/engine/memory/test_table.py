"""The README's table has the engine's windows for each Mac."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.memory.table import SAMPLES, Sample, mac, table, window_of
from engine.memory_budget.limits import GB, memory_limit

README = Path(__file__).resolve().parents[3] / "README.md"


def test_the_readme_has_the_table_that_the_function_makes() -> None:
    lines = [line.strip() for line in README.read_text("utf-8").splitlines()]
    first = lines.index(table().splitlines()[0])
    assert lines[first : first + len(table().splitlines())] == table().splitlines()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_larger_mac_never_has_room_for_less(sample: Sample) -> None:
    windows = [window_of(sample, mac(gigabytes)) for gigabytes in (8, 16, 24, 32, 48, 64, 128, 512)]
    assert windows == sorted(windows)
    for gigabytes, window in zip((8, 16, 24, 32, 48, 64, 128, 512), windows, strict=True):
        assert (
            sample.weights_bytes + window * sample.kv_bytes <= memory_limit(mac(gigabytes)).bytes
            or not window
        )


def test_the_readmes_own_model_serves_claude_code_on_32_gb() -> None:
    (coder,) = [sample for sample in SAMPLES if "Coder" in sample.name]
    assert window_of(coder, mac(32)) > 37_000
    assert coder.weights_bytes < 18 * GB
