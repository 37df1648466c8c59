"""A real engine in a control group of its own, with eight sessions that do not fit into it together."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from bench.child import wait_ready
from bench.random_model import build_random_model
from engine.memory.machine import group_folders
from tests.models import TINY
from tests.servers import server

GROUP_BYTES = 800 << 20
SESSIONS, WORDS = 8, 260
# 64 KB a token, so that some hundred sessions need not be begun to fill the group.
SHAPE = replace(TINY, layers=4, heads=8, kv_heads=8, head_dim=256)

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


async def answered(client: httpx.AsyncClient, number: int) -> dict[str, Any]:
    text = " ".join(f"word{number}{place}" for place in range(WORDS))
    body = {"messages": [{"role": "user", "content": text}], "max_tokens": 8, "temperature": 0}
    response = await client.post("/v1/chat/completions", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


@pytest.mark.slow
async def test_sessions_that_do_not_fit_together_finish_in_turns(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("control groups are Linux's")
    model = build_random_model(tmp_path / "model", shape=SHAPE, eos_every=None)
    settings = {"model": str(model), "host": "127.0.0.1", "port": 0}
    samples: list[int] = []
    most_running = 0
    with memory_group(GROUP_BYTES) as group:
        join = ("-c", _JOIN, str(group / "cgroup.procs"))
        with server("engine", *join, settings=settings, folder=tmp_path / "engine") as running:
            wait_ready(running, "/health")
            process = psutil.Process(running.pid)
            async with httpx.AsyncClient(base_url=running.url, timeout=100, trust_env=False) as client:
                limit = (await client.get("/stats")).json()["memory"]
                assert limit["limit_bytes"] == GROUP_BYTES - GROUP_BYTES // 8
                assert "control group" in limit["limit_reason"]
                work = asyncio.gather(*(answered(client, number) for number in range(SESSIONS)))
                while not work.done():
                    health = (await client.get("/health")).json()
                    memory = health["memory"]
                    most_running = max(most_running, health["running"])
                    samples.append(process.memory_info().rss)
                    assert memory["active_bytes"] <= memory["limit_bytes"]
                answers = await work
    assert all(answer["usage"]["completion_tokens"] == 8 for answer in answers)
    prompts = sum(answer["usage"]["prompt_tokens"] for answer in answers)
    assert prompts * 2 * 4 * 8 * 256 * 4 > limit["limit_bytes"]  # all together would not have fitted
    assert 0 < most_running < SESSIONS
    assert max(samples) <= GROUP_BYTES
