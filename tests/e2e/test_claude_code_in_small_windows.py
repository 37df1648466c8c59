"""The real Claude Code in a small window: it compacts and goes on, where it once gave up as "thrashing".

A short form of 24 rounds by hand (docs/real-test-guide.md, "Small windows by hand").
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.scripted_upstream import Body, Call, ScriptedUpstream, Turn, serving
from tests import servers
from tests.e2e.test_claude_command import run

pytestmark = [pytest.mark.claude_code, pytest.mark.slow]

WINDOW = 40_000
ROUNDS = 9
ROUND_BYTES = 12_000  # some 3,400 tokens
COMPACTION = "Respond with TEXT ONLY"
SAID = "All rounds are done."


class LongTask:
    """A model that reads on and on; it counts by itself, since a compaction takes the turns away."""

    def __init__(self) -> None:
        self.rounds = 0
        self.compactions = 0

    def __call__(self, body: Body) -> Turn:
        if COMPACTION in str(body["messages"][-1]["content"]):
            self.compactions += 1
            return Turn("<analysis>It reads.</analysis>\n<summary>\nThe user wants rounds.\n</summary>")
        self.rounds += 1
        if self.rounds > ROUNDS:
            return Turn(SAID)
        command = f"echo round {self.rounds}; head -c {ROUND_BYTES} log.txt"
        return Turn("", (Call("Bash", {"command": command, "description": "Read on"}),))


def test_a_long_task_outlives_its_compactions(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "log.txt").write_text(
        "".join(f"{n} sold for {n * 37 % 101}\n" for n in range(1000))
    )
    task = LongTask()
    scripted = ScriptedUpstream(task)
    with (
        serving(scripted.app) as url,
        servers.proxy(
            tmp_path, backend="openai", backend_url=url, model="scripted", context_tokens=WINDOW
        ) as proxy,
    ):
        ended = run(tmp_path, "--attach", proxy.url, more=["--dangerously-skip-permissions"])

    assert json.loads(ended.stdout)["result"] == SAID, ended.stdout + ended.stderr
    assert task.compactions >= 2
    lanes = [trace.lane for trace in servers.traces(tmp_path)]
    assert lanes.count("compaction") == task.compactions
    assert max(body["max_tokens"] for body in scripted.bodies) == 4_096
    assert "too small" not in ended.stderr
