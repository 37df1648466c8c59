"""What the first prompt of a new project costs behind another project's, with and without its text apart.

The real Claude Code works in two projects that differ in name, git state and CLAUDE.md, and its requests are
sent to a proxy and engine with an empty cache: once as they are, once with `projectTextBehindTools`. The
floor of the second figure is of the prompts that the setting makes: the turns of a session still go on from
each other.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.figure import Figure, Peer
from bench.prefill_floor import floor
from bench.prefix_reuse import TARGETS
from bench.recorded_traffic import ClientMissing, Recorded, record
from bench.replay import running_host
from bench.scratch_project import AGENTIC, ScratchProject

_PROMPTS = ("Who are you?", f"Please {AGENTIC}.")
_SETTING = "project_text_behind_tools"


def measure(folder: Path, *, quick: bool = False) -> list[Figure]:
    """Prefilled tokens for each kind of cache; no figures without the real client."""
    prompts = _PROMPTS[:1] if quick else _PROMPTS
    try:
        first = record(folder / "first", prompts=prompts)
        second = record(folder / "second", prompts=prompts, prepare=_with_git)
    except ClientMissing as missing:
        print(f"new_project: {missing}", file=sys.stderr)
        return []
    figures: list[Figure] = []
    for architecture in ("qwen3",) if quick else TARGETS:
        figures += _figures(folder / architecture, architecture, first, second)
    return figures


def _with_git(project: ScratchProject) -> None:
    (project.folder / "CLAUDE.md").write_text("Be terse.\n")
    subprocess.run(["git", "init", "--quiet"], cwd=project.folder, check=True)


def _figures(
    folder: Path, architecture: Any, first: Sequence[Recorded], second: Sequence[Recorded]
) -> list[Figure]:
    from bench.random_model import RandomShape, build_random_model

    folder.mkdir()
    shape = RandomShape(hidden_size=64, head_dim=32, feed_forward=128)
    model = build_random_model(folder / "model", architecture, shape)
    begun: dict[bool, int] = {}
    for apart in (False, True):
        with running_host(folder / f"apart-{apart}", model, **{_SETTING: apart}) as host:
            for request in first:
                host.send(request)
            before = host.prefilled()
            host.send(second[0])
            begun[apart] = host.prefilled() - before
            for request in second[1:]:
                host.send(request)
            everything = host.prefilled()
            prompts = [host.tokens(body) for body in host.upstream_bodies()]
    return [
        Figure(
            bench="new_project",
            metric=f"prefilled of a new project's first {len(prompts[len(first)]):,}, {architecture}",
            unit="tokens",
            value=begun[True],
            peer=Peer("without the setting", begun[False]),
            ratio=begun[True] / begun[False],
            target=0.35,
            on="ratio",
            runs=1,
        ),
        Figure(
            bench="new_project",
            metric=f"prefilled of {sum(map(len, prompts)):,} in both projects, {architecture}",
            unit="tokens",
            value=everything,
            peer=Peer("floor", lowest := floor(prompts)),
            ratio=everything / lowest,
            target=TARGETS[architecture],
            on="ratio",
            runs=1,
        ),
    ]
