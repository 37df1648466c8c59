"""A real engine in its own control group serves eight sessions that do not fit together."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.child import wait_ready
from bench.random_model import build_random_model
from engine.memory_budget.control_group import group_folders
from tests.models import TINY
from tests.servers import server

GROUP_BYTES = 896 << 20  # an engine takes up to 800 MiB while it loads this model
SESSIONS, WORDS = 8, 170
# 128 KB a token, so that some hundred sessions need not be begun to fill the group.
SHAPE = replace(TINY, layers=4, heads=8, kv_heads=8, head_dim=512)

_JOIN = """
import os, sys
with open(sys.argv[1], "w") as group:
    group.write(str(os.getpid()))
os.execv(sys.executable, [sys.executable, "-m", "engine"])
"""


@contextmanager
def memory_group(limit_bytes: int) -> Iterator[Path]:
    """A control group below our own with so much memory; the test is skipped where none can be made."""
    for parent in group_folders()[:1]:
        folder = parent / f"test-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            names = ("memory.limit_in_bytes", "memory.max")
            (file,) = [folder / name for name in names if (folder / name).exists()] or [None]
            if file is None:
                break
            file.write_text(str(limit_bytes))
            yield folder
            return
        except OSError as error:
            pytest.skip(f"a control group cannot be limited here: {error}")
        finally:
            folder.rmdir()
    pytest.skip("no control group with a limit of memory can be made here")


async def usage(
    client: httpx.AsyncClient, number: int, at_each_step: Callable[[], Awaitable[None]]
) -> dict[str, int]:
    """The usage of a session's one answer."""
    text = " ".join(f"word{number}{place}" for place in range(WORDS))
    body = {
        "messages": [{"role": "user", "content": text}],
        "max_tokens": 8,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    headers = {"x-anyclaude-feed": "1"}
    last: dict[str, Any] = {}
    async with client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                last = json.loads(line.removeprefix("data: "))
                await at_each_step()
    counts: dict[str, int] = last["usage"]
    return counts


def own_memory(pid: int) -> int:
    """Resident bytes of a process without the files that it maps: those count where they were read first."""
    (kilobytes,) = re.findall(r"^RssAnon:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(kilobytes) << 10


@pytest.mark.slow
async def test_sessions_that_do_not_fit_together_finish_in_turns(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("control groups are Linux's")
    model = build_random_model(tmp_path / "model", shape=SHAPE, eos_every=None)
    settings = {"model": str(model), "host": "127.0.0.1", "port": 0, "prefill_chunk": 128}
    most_running = 0
    with memory_group(GROUP_BYTES) as group:
        join = ("-c", _JOIN, str(group / "cgroup.procs"))
        with server("engine", *join, settings=settings, folder=tmp_path / "engine") as running:
            wait_ready(running, "/health")
            async with httpx.AsyncClient(base_url=running.url, timeout=100, trust_env=False) as client:
                limit = (await client.get("/stats")).json()["memory"]
                assert limit["limit_bytes"] == GROUP_BYTES - GROUP_BYTES // 8
                assert "control group" in limit["limit_reason"]

                async def look() -> None:
                    nonlocal most_running
                    health = (await client.get("/health")).json()
                    most_running = max(most_running, health["running"])
                    assert own_memory(running.pid) <= GROUP_BYTES
                    assert health["memory"]["active_bytes"] <= health["memory"]["limit_bytes"]

                answers = await asyncio.gather(*(usage(client, number, look) for number in range(SESSIONS)))
    assert all(answer["completion_tokens"] == 8 for answer in answers)
    prompts = sum(answer["prompt_tokens"] for answer in answers)
    assert prompts * 2 * 4 * 8 * 512 * 4 > limit["limit_bytes"]  # all together would not have fitted
    assert 0 < most_running < SESSIONS
