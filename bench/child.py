"""A server process of ours: settings on stdin, its address on stdout, ended by its pid.

The bench and the end-to-end tests start the engine and the proxy through this module, in the same way as
their parents do in use (docs/architecture.md, "The life of a child").
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

T = TypeVar("T")

# Variables that would change a server's behaviour, or direct a client to another server.
FOREIGN = (
    "ANYCLAUDE_",
    "ANTHROPIC_",
    "CLAUDE_",
    "CLAUDECODE",
    "OPENAI_",
    "LD_PRELOAD",
    "HTTP_PROXY",
    "http_proxy",
)


class ChildFailed(RuntimeError):
    """A server process did not start; the message ends with the last lines of its log."""


@dataclass
class Child:
    """A running server process."""

    name: str
    process: subprocess.Popen[str]
    log: Path
    url: str = ""

    @property
    def pid(self) -> int:
        return self.process.pid

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Write one JSON line to a process that answers each line with one."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(dict(question)) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def log_tail(self, lines: int = 40) -> str:
        """The last lines that the process wrote to stderr."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def tree(self) -> list[psutil.Process]:
        """The process and its running descendants."""
        try:
            root = psutil.Process(self.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def stop(self, grace_s: float = 8.0) -> None:
        """End the process in the way that its parent's death would, then by force; its descendants too."""
        tree = self.tree()
        if self.process.stdin is not None:
            self.process.stdin.close()
        else:
            self.process.terminate()
        try:
            self.process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        _, alive = psutil.wait_procs([p for p in tree if p.pid != self.pid], timeout=grace_s)
        for process in alive:
            process.kill()


def clean_environment(**extra: str) -> dict[str, str]:
    """This process's environment without variables that change a client or a server of ours."""
    return {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)} | extra


def poll(check: Callable[[], T | None], *, timeout_s: float, what: str, every_s: float = 0.02) -> T:
    """Call `check` until it returns something other than None or False.

    Raises:
        TimeoutError: it did not within `timeout_s`; the message says `what` was awaited.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        found = check()
        if found is not None and found is not False:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_s:.0f} s in vain for {what}")
        time.sleep(every_s)


def wait_ready(
    child: Child, path: str = "/health/ready", *, timeout_s: float = 60.0, token: str = ""
) -> None:
    """Wait until the server answers 200 at `path`; `token` authenticates the request.

    Raises:
        ChildFailed: the process ended first.
        TimeoutError: it did not answer in time.
    """
    headers = {"authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=child.url, headers=headers, timeout=5.0, trust_env=False) as client:

        def ready() -> bool:
            if child.process.poll() is not None:
                raise ChildFailed(f"{child.name} ended with {child.process.returncode}\n{child.log_tail()}")
            try:
                return client.get(path).status_code == 200
            except httpx.TransportError:
                return False

        poll(ready, timeout_s=timeout_s, what=f"{child.name} to be ready at {path}")


@contextmanager
def child(
    name: str,
    argv: Sequence[str],
    *,
    settings: Mapping[str, Any],
    log: Path,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 60.0,
) -> Iterator[Child]:
    """Run a process that reads its settings on stdin and announces its address on stdout.

    Raises:
        ChildFailed: it ended, announced an error, or announced nothing within `timeout_s`.
    """
    with log.open("w") as stderr:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=dict(environment) if environment is not None else clean_environment(),
        )
    running = Child(name=name, process=process, log=log)
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(dict(settings)) + "\n")
        process.stdin.flush()
        told = announcement(running, timeout_s)
        if "listening" not in told:
            raise ChildFailed(f"{name} cannot listen: {told}\n{running.log_tail()}")
        running.url = str(told["listening"])
        yield running
    finally:
        running.stop()


def announcement(running: Child, timeout_s: float) -> dict[str, Any]:
    """The JSON line that a server writes when it listens, or cannot.

    Raises:
        ChildFailed: the process ended or wrote nothing within `timeout_s`.
    """
    stdout = running.process.stdout
    assert stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(stdout, selectors.EVENT_READ)
        line = stdout.readline() if selector.select(timeout_s) else ""
    if not line.strip():
        try:
            how = f"ended with {running.process.wait(1.0)} before it listened"
        except subprocess.TimeoutExpired:
            how = f"announced nothing in {timeout_s:.0f} s"
        raise ChildFailed(f"{running.name} {how}\n{running.log_tail()}")
    told = json.loads(line)
    assert isinstance(told, dict)
    return told


def python(*arguments: str) -> list[str]:
    """The command that runs this interpreter with `arguments`."""
    return [sys.executable, *arguments]
