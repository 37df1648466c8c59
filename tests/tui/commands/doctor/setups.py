"""A set-up in which all is well, for tests that break one thing of it.

The host is a server in this process; Claude Code is a program on the PATH. What MLX says of the model is a
report that the test can change: `tests/engine/test_model_report.py` has the real one.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bench.scripted_upstream import serving
from engine.process.private_files import private_folder
from engine.process.program_code import library_versions
from engine.wire.model_report import ModelReport
from proxy.events.totals import Totals
from proxy.events.types import EngineState, HostState
from proxy.traces.schema import Trace
from tests.proxy.traces.folders import Folder
from tui.commands.claude_program import TESTED_VERSION
from tui.commands.doctor.command import CHECKS
from tui.commands.doctor.examination import Edge, Examination, run_program
from tui.commands.doctor.findings import Checked
from tui.commands.doctor.running import run_checks
from tui.commands.invocation import Invocation

GB = 10**9
CODE = "c0dec0dec0de"
REPORT = ModelReport(
    libraries=library_versions(),
    machine="a machine",
    device="openblas (/lib)",
    ram_bytes=64 * GB,
    limit_bytes=48 * GB,
    limit_reason="RAM less 16 GB for everything else",
    model="m",
    tokens=1000,
    family="hermes",
    cache_kinds={"KVCache": 2},
    weights_bytes=17 * GB,
    kv_bytes=98_304,
    window_tokens=65_536,
    fitting_tokens=65_536,
)


@dataclass
class ModelHost:
    """A host whose state and answers a test can change; `usages` are of one answer after the other."""

    url: str = ""
    token: str = ""
    state: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    usages: list[dict[str, Any]] = field(default_factory=list)
    calls: bool = True
    thinks: bool = False  # until its tokens are used up, where it should call
    requests: list[dict[str, Any]] = field(default_factory=list)

    def reset(self) -> None:
        """As at the beginning."""
        state = HostState(
            version=library_versions(["anyclaude-tui"])["anyclaude-tui"],
            pid=os.getpid(),
            started=1000.0,
            url=self.url,
            backend="mlx",
            model="/models/Tiny",
            home="/home",
            seq=0,
            first_seq=1,
            counters=Totals(),
            engine=EngineState(state="ready", accelerated="openblas (/lib)", url="http://127.0.0.1:9"),
            code=CODE,
            libraries=library_versions(),
        )
        self.state = state.model_dump(mode="json")
        self.token, self.status, self.calls = "", 200, True
        self.usages, self.requests, self.thinks = [], [], False

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/anyclaude/state", self._state),
                Route("/v1/messages", self._message, methods=["POST"]),
            ]
        )

    def _refused(self, request: Request) -> Response | None:
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            return JSONResponse({"error": {"message": "token"}}, status_code=401)
        return None

    async def _state(self, request: Request) -> Response:
        return self._refused(request) or JSONResponse(self.state)

    async def _message(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        body = await request.json()
        self.requests.append(body)
        if self.status != 200:
            return JSONResponse({"error": {"message": "the engine is gone"}}, status_code=self.status)
        known = {"output_tokens": 1, "cache_creation_input_tokens": 150, "cache_read_input_tokens": 1}
        if body.get("system") and body["system"] in [earlier.get("system") for earlier in self.requests[:-1]]:
            known |= {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 150}
        usage = self.usages.pop(0) if self.usages else known
        content: list[dict[str, Any]] = [{"type": "text", "text": "Hello"}]
        ends = "end_turn"
        if body.get("tools") and self.thinks:
            content, ends = [{"type": "thinking", "thinking": "Hm"}], "max_tokens"
        if body.get("tools") and self.calls:
            content = [{"type": "tool_use", "id": "t1", "name": "get_weather", "input": {"city": "Oslo"}}]
            ends = "tool_use"
        return JSONResponse({"type": "message", "content": content, "usage": usage, "stop_reason": ends})


@contextmanager
def model_host() -> Iterator[ModelHost]:
    """A host that listens for as long as the block lasts."""
    host = ModelHost()
    with serving(host.app()) as url:
        host.url = url.removesuffix("/v1")
        host.reset()
        yield host


class Setup:
    """A user's home, model, Claude Code and host below `folder`; all is well until something is broken."""

    def __init__(self, folder: Path, host: ModelHost) -> None:
        self.host = host
        self.user = folder / "user"
        self.home = self.user / ".anyclaude"
        self.model = folder / "model"
        self.claude = folder / "bin" / "claude"
        self.managed = folder / "managed" / "managed-settings.json"
        self.work = folder / "work"
        for path in (self.user, self.work, self.model, self.claude.parent):
            path.mkdir(parents=True)
        self.config: dict[str, Any] = {"port": int(host.url.rsplit(":", 1)[1])}
        self.report = REPORT
        self.fault = ""  # what the engine's program ends with
        self.free = 100 * GB
        self.processes: list[tuple[int, list[str]]] = [(os.getpid(), ["python", "-P", "-m", "proxy"])]
        private_folder(self.home)
        self.traces = Folder(self.home / "traces")
        self.traces.put(self.trace("req_1"))
        self.traces.index.close()
        self.write_model()
        self.write_claude(f"echo '{TESTED_VERSION} (Claude Code)'")

    def write_model(self, window: int = 65_536) -> None:
        shards = {"model-00001-of-00002.safetensors": "a", "model-00002-of-00002.safetensors": "b"}
        for name, tensor in shards.items():
            write_weights(self.model / name, tensor)
        write_json(self.model / "model.safetensors.index.json", self.index(shards))
        write_json(
            self.model / "config.json",
            {"model_type": "qwen3", "num_hidden_layers": 2, "max_position_embeddings": window},
        )
        write_json(self.model / "tokenizer.json", {})

    @staticmethod
    def trace(trace_id: str, *, age_s: float = 60.0) -> Trace:
        """A trace of a moment ago."""
        return Trace(id=trace_id, time=time.time() - age_s, backend="mlx", lane="main", request={})

    @staticmethod
    def index(shards: Mapping[str, str]) -> dict[str, Any]:
        """The index of tensors in these files."""
        return {"weight_map": {tensor: name for name, tensor in shards.items()}}

    def write_claude(self, script: str) -> None:
        self.claude.write_text(f"#!/bin/sh\n{script}\n")
        self.claude.chmod(0o755)

    def write_settings(self, **env: str) -> None:
        write_json(self.user / ".claude" / "settings.json", {"env": env})

    def lose(self, path: Path) -> None:
        """Remove a file."""
        path.unlink()

    def reports(self, **changes: Any) -> None:
        """Change what MLX says."""
        self.report = replace(self.report, **changes)

    def engine(self, **fields: Any) -> None:
        """Change what the host says of its engine."""
        self.host.state["engine"] |= fields

    @property
    def invocation(self) -> Invocation:
        environ = {"PATH": f"{self.claude.parent}:/usr/bin:/bin", "HOME": str(self.user)}
        return Invocation({}, "", environ)

    @property
    def edge(self) -> Edge:
        """The edge to this set-up, with its configuration written."""
        write_json(
            self.user / ".anyclauderc.json",
            {"backends": {"mlx": {"model": str(self.model)}}, **self.config},
        )
        return Edge(
            self.work,
            self.user,
            managed=(self.managed, self.managed.with_suffix(".d")),
            free_bytes=lambda path: self.free,
            processes=lambda: self.processes,
            run=self._run,
        )

    def examine(self, *, repairs: bool = False) -> dict[str, Checked]:
        """The results by the names of their checks."""
        examination = Examination(self.invocation, self.edge)
        return {result.check.name: result for result in run_checks(CHECKS, examination, repairs=repairs)}

    def _run(self, command: Sequence[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        if "engine.model_report" not in command:
            return run_program(command, environ)
        if self.fault:
            return subprocess.CompletedProcess(command, 1, "", f"Traceback\n{self.fault}\n")
        return subprocess.CompletedProcess(command, 0, json.dumps(asdict(self.report)) + "\n", "")


def write_json(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def write_weights(path: Path, tensor: str) -> None:
    """A safetensors file with one number."""
    header = json.dumps({tensor: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0\0\0")
