"""The stage of a scenario: a host with a scripted model, a project, and Claude Code in a home of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.child import clean_environment, poll
from bench.claude_day.checks import api_errors, losses, strings_of, transcript_lines, usage_differences
from bench.claude_day.script import Task, TaskScript
from bench.recorded_day.project import DayProject
from bench.recorded_traffic import proxy_process, traces_in
from bench.scripted_upstream import ScriptedUpstream, Turn, serving
from bench.terminal_session import ENTER, TRIES, TerminalSession, terminal_session
from proxy.traces.schema import Trace

COMMAND = Path(sys.executable).with_name("anyclaude-tui")
FREE = "--dangerously-skip-permissions"
RUN_S = 150.0
TYPED_S, CLEAR_LINE = 8.0, "\x15"
OLD = (2, 1, 197)


@dataclass
class Stage:
    """What a scenario plays on. `url` is the host's, `upstream` the scripted model's."""

    folder: Path
    claude: Path
    url: str
    upstream: str
    scripted: ScriptedUpstream
    script: TaskScript
    scripted_model: bool = True
    allowed_errors: bool = False
    version: tuple[int, ...] = ()
    prompts: int = 0
    screens: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    lacks: list[str] = field(default_factory=list)

    def lacked(self, what: str) -> bool:
        """Whether the client is as old as 2.1.197, which lacks something; its cell of the table says so."""
        if self.version > OLD:
            return False
        self.lacks.append(what)
        return True

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def home(self) -> Path:
        return self.folder / "client"

    def path(self, name: str) -> str:
        """The absolute path of a file of the project."""
        return str(self.project / name)

    def put(self, name: str, content: str | Mapping[str, Any]) -> None:
        """Write a file of the project; a mapping as JSON."""
        file = self.project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")

    def on(self, mark: str, *turns: Turn, task: Task | None = None) -> None:
        """What the model does from a user's text with `[mark]` on."""
        self.script.tasks[mark] = task or turns

    def next_prompt(self, text: str, turns: Sequence[Turn], task: Task | None = None) -> str:
        """The prompt with a mark of its own, for which the model does these turns."""
        if not turns and task is None:
            return text
        self.prompts += 1
        self.on(f"p{self.prompts}", *turns, task=task)
        return f"{text} [p{self.prompts}]"

    def ask(
        self,
        text: str,
        *turns: Turn,
        task: Task | None = None,
        says: str | None = None,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        free: bool = True,
        code: int = 0,
    ) -> dict[str, Any]:
        """One `claude -p`; it has to say `says`, by default the last turn's text. Returns the result."""
        prompt = self.next_prompt(text, turns, task)
        words = ["-p", prompt, "--output-format", "json", *([FREE] if free else []), *args]
        ended = self.run(words, env=env)
        assert ended.returncode == code, (
            f"exit code {ended.returncode}: {ended.stdout[-600:]} {ended.stderr[-600:]}"
        )
        result = json.loads(ended.stdout.splitlines()[-1])
        if isinstance(result, list):
            result = result[-1]
        self.results.append(str(result.get("result")))
        expected = turns[-1].text if says is None and turns else says or ""
        assert expected in str(result.get("result")), f"it said {result.get('result')!r}, not {expected!r}"
        return dict(result)

    def run(
        self, words: Sequence[str], *, env: Mapping[str, str] | None = None, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the client on the host, as a person does: `anyclaude-tui claude …`."""
        return subprocess.run(
            [str(COMMAND), "--attach", self.url, "claude", *words],
            cwd=self.project,
            env=self.environment(env),
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=False,
        )

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of the client: nothing of this user's."""
        own = {
            "HOME": str(self.home),
            "ANYCLAUDE_HOME": str(self.folder / "anyclaude"),
            "ANYCLAUDE_CLAUDE": str(self.claude),
            "IS_SANDBOX": "1",
            "DISABLE_AUTOUPDATER": "1",
            "LANG": "C.UTF-8",
        }
        return clean_environment() | own | dict(more or {})

    @contextmanager
    def terminal(
        self,
        *args: str,
        free: bool = True,
        env: Mapping[str, str] | None = None,
        host_args: Sequence[str] = (),
    ) -> Iterator[Terminal]:
        """The interactive client, ready for its first prompt."""
        words = [str(COMMAND), "--attach", self.url, "claude", *host_args, *([FREE] if free else []), *args]
        with terminal_session(words, cwd=self.project, environ=self.environment(env)) as session:
            try:
                session.wait_for("❯|shortcuts")
                yield Terminal(self, session)
            finally:
                self.screens.append(session.text)

    def seen(self, *texts: str) -> None:
        """Each text has reached the model."""
        arrived = "\n".join(strings_of(body) for body in list(self.scripted.bodies))
        for text in texts:
            assert text in arrived, f"the model never saw {text!r}"

    def bodies(self, *, with_tools: bool = True) -> list[dict[str, Any]]:
        """What the model side got."""
        return [body for body in self.scripted.bodies if bool(body.get("tools")) or not with_tools]

    def traces(self) -> list[Trace]:
        """The host's traces, once each request of the model side has its own."""
        home = self.folder / "host"
        if not self.scripted_model:
            return traces_in(home)
        enough = len(self.scripted.bodies)
        with suppress(TimeoutError):
            poll(lambda: len(traces_in(home)) >= enough, timeout_s=6, what="traces", every_s=0.5)
        return traces_in(home)

    def problems(self) -> list[str]:
        """What does not hold although it holds in every scenario."""
        lines, traces = transcript_lines(self.home), self.traces()
        found = losses(traces) + usage_differences(lines, traces)
        if not self.allowed_errors:
            found += api_errors(lines)
            found += [
                f"API error in: {text[-300:]}" for text in self.screens + self.results if "API Error" in text
            ]
        if not traces:
            found.append("no request came to the host")
        return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Terminal:
    """The interactive client on a stage."""

    stage: Stage
    session: TerminalSession

    def say(
        self, text: str, *turns: Turn, task: Task | None = None, until: str | None = None, unless: str = ""
    ) -> None:
        """Type a prompt and wait for the last turn's text, or for `until`."""
        self.type(self.stage.next_prompt(text, turns, task))
        expected = until if until is not None else turns[-1].text if turns else ""
        if expected:
            self.session.wait_for(expected, unless=unless)

    def type(self, text: str) -> None:
        """Type a line, once more where a dialog that was closing has taken its letters, and press enter."""
        for left in reversed(range(TRIES)):
            self.session.press(text)
            try:
                self.session.wait_for(_pattern(text[-12:]), timeout_s=TYPED_S)
                break
            except AssertionError:
                if not left:
                    raise
                self.session.press(CLEAR_LINE)
        self.session.press(ENTER)

    def wait(self, pattern: str, timeout_s: float = 40.0) -> None:
        self.session.wait_for(pattern, timeout_s=timeout_s)

    def answer(self, question: str, keys: str) -> None:
        self.session.answer(question, keys)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.session.press(key)

    def pause(self, seconds: float) -> None:
        """As a person does who reads; for what neither screen nor model side shows."""
        time.sleep(seconds)

    def until(self, check: Any, what: str, timeout_s: float = 40.0) -> None:
        """Wait for something outside of the screen."""
        poll(check, timeout_s=timeout_s, what=f"{what}\n{self.session.text[-1500:]}", every_s=0.2)


def _pattern(text: str) -> str:
    return r"\s*".join(_escaped(letter) for letter in text if not letter.isspace())


def _escaped(letter: str) -> str:
    return letter if letter.isalnum() else "\\" + letter


@contextmanager
def stage(
    folder: Path, claude: Path, settings: Mapping[str, Any], *, scripted_model: bool = True
) -> Iterator[Stage]:
    """A stage whose host has `settings`; without `scripted_model` the built-in engine answers."""
    folder.mkdir(parents=True)
    DayProject(folder / "project").create()
    _settle_in(folder / "client", folder / "project")
    script = TaskScript()
    scripted = ScriptedUpstream(script)
    with serving(scripted.app) as upstream:
        backend = {
            "backend": "openai",
            "backend_name": "openai",
            "backend_url": upstream,
            "model": "scripted",
            "context_tokens": 200_000,
        }
        host = {"home": str(folder / "host"), "port": 0, "engine_port": 0}
        filled = {name: _filled(value, upstream) for name, value in settings.items()}
        with proxy_process(folder, "host", (backend if scripted_model else {}) | host | filled) as proxy:
            yield Stage(folder, claude, proxy.url, upstream, scripted, script, scripted_model)


def _filled(value: Any, upstream: str) -> Any:
    return value.replace("UPSTREAM", upstream.removesuffix("/v1")) if isinstance(value, str) else value


def _settle_in(home: Path, project: Path) -> None:
    """A home in which the client asks nothing before the first prompt."""
    (home / ".claude").mkdir(parents=True)
    known = {
        "hasTrustDialogAccepted": True,
        "hasCompletedProjectOnboarding": True,
        "enableAllProjectMcpServers": True,
    }
    remembered = {
        "hasCompletedOnboarding": True,
        "theme": "dark",
        "projects": {str(project.resolve()): known},
    }
    (home / ".claude.json").write_text(json.dumps(remembered))
    (home / ".claude/settings.json").write_text(json.dumps({"skipDangerousModePermissionPrompt": True}))
