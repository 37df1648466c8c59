"""`verify cache` loads the model once more only where both fit, or the user says so."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxy.events.types import EngineState
from tests.tui.scripted_host import ScriptedHost, scripted_host
from tui.commands import model_memory
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation
from tui.commands.model_memory import PROCESS_BYTES, Memory, fits, needed_bytes
from tui.commands.verify.exact import run_verify_exact

GB = 10**9
FULL = Memory(total=32 * GB, available=PROCESS_BYTES - 1)
ROOMY = Memory(total=64 * GB, available=40 * GB)

Verify = Callable[..., int]


@pytest.fixture
def verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Verify:
    """The command, as far as the start of the check itself; its port is a host's."""

    def started(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr("tui.commands.verify.exact.subprocess.run", started)

    def run(host: ScriptedHost | None, memory: Memory, beside_host: bool = False, **options: Any) -> int:
        monkeypatch.setattr("tui.commands.verify.exact.memory_now", lambda: memory)
        options |= {"port": int(host.url.rpartition(":")[2]) if host else 0, "home": str(tmp_path)}
        return run_verify_exact(
            Invocation(options, "", dict(os.environ)),
            conversations=1, head_tokens=60, beside_host=beside_host,
        )  # fmt: skip

    return run


def test_beside_a_host_without_room_it_is_refused_with_what_to_do(verify: Verify) -> None:
    with scripted_host() as host:
        host.engine_is("ready", memory_bytes=20 * GB)
        with pytest.raises(CommandFailed) as refused:
            verify(host, FULL)
        assert verify(host, FULL, beside_host=True) == 0
    assert refused.value.exit_code == ExitCode.USAGE
    said = refused.value.message
    assert said.startswith(
        f"a host runs on {host.url} with /models/Tiny, and a second model of about 1.5 GB may"
    )
    assert "not fit beside it (1.5 GB of 32.0 GB are free)" in said
    assert said.endswith("stop that host first, or run anyway with --beside-host")


def test_where_both_fit_it_runs(verify: Verify) -> None:
    with scripted_host() as host:
        host.engine_is("ready", memory_bytes=20 * GB)
        assert verify(host, ROOMY) == 0


@pytest.mark.parametrize("state", ["stopped", "failed"])
def test_a_host_whose_engine_is_down_is_not_in_the_way(verify: Verify, state: str) -> None:
    with scripted_host(engine=state) as host:
        assert verify(host, FULL) == 0


def test_nor_is_one_whose_model_is_elsewhere_or_none_at_all(verify: Verify) -> None:
    with scripted_host(backend="lmstudio") as host:
        assert verify(host, FULL) == 0
    assert verify(host, FULL) == 0  # it has ended
    assert verify(None, FULL) == 0  # nobody can say where one is


def test_a_host_that_does_not_say_how_it_is_counts_by_the_memory_that_is_left(verify: Verify) -> None:
    with scripted_host(token="another-token-than-ours") as host:
        assert verify(host, ROOMY) == 0
        with pytest.raises(CommandFailed, match="a host runs on"):
            verify(host, FULL)


def test_a_model_that_is_not_here_is_of_unknown_size(
    verify: Verify, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with scripted_host() as host, pytest.raises(CommandFailed, match="not downloaded yet"):
        verify(host, ROOMY, model="org/model")


def test_a_model_takes_its_weights_and_those_of_its_draft(tmp_path: Path) -> None:
    def model(name: str, size: int) -> str:
        folder = tmp_path / name
        folder.mkdir()
        header = b'{"a":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (size, size)
        file = folder / "model.safetensors"
        file.write_bytes(len(header).to_bytes(8, "little") + header)
        with file.open("ab") as grown:
            grown.truncate(8 + len(header) + size)  # no block of it is on disk
        return str(folder)

    large, small = model("large", 17 * GB), model("small", GB)
    alone, with_draft = needed_bytes(large), needed_bytes(large, small)
    assert alone is not None
    assert with_draft is not None
    assert 18 * GB < alone - PROCESS_BYTES < 19 * GB
    assert GB < with_draft - alone < 1.2 * GB
    assert needed_bytes(str(tmp_path / "gone")) == PROCESS_BYTES  # the check itself says what is wrong


@pytest.mark.parametrize(
    ("state", "held", "need", "total", "available", "fit"),
    [
        ("ready", 18, 18, 64, 40, True),
        ("ready", 18, 18, 32, 10, False),
        ("ready", 18, 18, 44, 24, False),  # free, but more than the GPU should have
        ("loading", 2, 18, 64, 40, True),
        ("loading", 2, 18, 64, 30, False),  # the host takes the rest of its share first
        (None, 0, 18, 64, 20, True),
        (None, 0, 18, 64, 17, False),
    ],
)
def test_what_fits(state: Any, held: int, need: int, total: int, available: int, fit: bool) -> None:
    engine = None if state is None else EngineState(state=state, memory_bytes=held * GB)
    assert fits(need * GB, engine, Memory(total * GB, available * GB)) is fit


def test_the_system_says_what_is_free() -> None:
    now = model_memory.memory_now()
    assert 0 < now.available <= now.total
