"""What MLX raises for a device is told from all else, and put in words."""

from __future__ import annotations

import errno
from typing import get_args

import pytest

from engine.process.device_faults import DeviceFault, device_fault, in_words
from tests.engine.faulty_device import MEMORY, REFUSED, TIMEOUT, VICTIM


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RuntimeError(TIMEOUT), "timeout"),
        (RuntimeError(VICTIM), "victim"),
        (RuntimeError(MEMORY), "memory"),
        (RuntimeError(REFUSED), "refused"),
        (RuntimeError("[METAL] Command buffer execution failed: GPU Hang Error (3:…ErrorHang)."), "timeout"),
        (RuntimeError("[METAL] … Impacting Interactivity (e:…ErrorImpactingInteractivity)."), "timeout"),
        (RuntimeError("[METAL] Command buffer execution failed: Internal Error (e:…Error)."), "other"),
        (RuntimeError("[malloc] Unable to allocate 4096 bytes."), "memory"),
        (RuntimeError("[metal::malloc] Resource limit (499000) exceeded."), "memory"),
        (RuntimeError("[metal::CommandEncoder] Failed to make new command queue."), "other"),
        (MemoryError(), "memory"),
        (OSError(errno.ENOMEM, "no memory"), "memory"),
        (OSError(errno.ENOSPC, "no space"), None),
        (RuntimeError("bad kernel"), None),
        (ValueError("[METAL] is a word of the prompt"), None),
    ],
)
def test_faults_of_the_device_are_told_from_all_others(error: Exception, kind: str | None) -> None:
    assert device_fault(error) == kind


def test_words_name_the_fault_and_what_the_system_said() -> None:
    assert in_words("memory", RuntimeError(MEMORY)) == f"the GPU had no memory left ({MEMORY})"
    assert in_words("memory", MemoryError()) == "the GPU had no memory left (MemoryError)"


@pytest.mark.parametrize("kind", get_args(DeviceFault))
def test_each_kind_has_words_of_its_own(kind: DeviceFault) -> None:
    said = in_words(kind, RuntimeError("the system's"))
    assert said.startswith("the GPU ")
    assert said.endswith(" (the system's)")
    assert sum(said == in_words(other, RuntimeError("the system's")) for other in get_args(DeviceFault)) == 1
