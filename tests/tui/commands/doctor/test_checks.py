"""Each check fails when what it checks is broken, with its advice, and nothing else but what needs it."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from proxy.traces.index_tables import INDEX_VERSION
from tests.tui.commands.doctor.setups import (
    CODE,
    GB,
    ModelHost,
    Setup,
    model_host,
    write_json,
    write_weights,
)
from tui.commands.doctor.command import CHECKS
from tui.commands.doctor.findings import Checked, Standing

DEAD_PID = 4_194_304 + 7  # above what Linux and macOS give
NEEDS = {check.name: check.needs for check in CHECKS}


@pytest.fixture(scope="module")
def shared_host() -> Iterator[ModelHost]:
    with model_host() as host:
        yield host


@pytest.fixture
def setup(tmp_path: Path, shared_host: ModelHost) -> Setup:
    shared_host.reset()
    return Setup(tmp_path, shared_host)


@pytest.fixture(autouse=True)
def _short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some listeners never answer; and to hash all code takes longer than most of these tests."""
    monkeypatch.setattr("tui.commands.port_check.ASK_S", 0.2)
    monkeypatch.setattr("tui.commands.doctor.host.code_hash", lambda: CODE)


def behind(name: str) -> set[str]:
    """The checks that need this one, also by way of others."""
    direct = {other for other, needs in NEEDS.items() if name in needs}
    return direct.union(*(behind(other) for other in direct))


def unwell(results: dict[str, Checked]) -> dict[str, Standing]:
    return {
        name: result.finding.standing
        for name, result in results.items()
        if result.finding.standing is not Standing.OK
    }


def test_all_is_well_before_anything_is_broken(setup: Setup) -> None:
    assert unwell(setup.examine()) == {}


@dataclass(frozen=True)
class Broken:
    """One thing that is broken, the check that has to see it, and words of its evidence and advice."""

    name: str
    check: str
    breaks: Callable[[Setup], object]
    evidence: str
    advice: str
    standing: Standing = Standing.FAILED
    stops: bool = True  # what needs the check is not checked


def remove(path: Path) -> None:
    path.unlink()


def index_with(setup: Setup, statement: str) -> None:
    db = sqlite3.connect(setup.home / "traces" / "index.sqlite")
    db.execute(statement)
    db.commit()
    db.close()


def damage_index(setup: Setup) -> None:
    for path in (setup.home / "traces").glob("index.sqlite*"):
        path.write_bytes(b"no database " * 500)


def leave_settings(setup: Setup) -> None:
    write_json(setup.home / "run" / f"claude-settings-{DEAD_PID}.json", {})
    (setup.home / "run").chmod(0o700)
    (setup.home / "run" / f"claude-settings-{DEAD_PID}.json").chmod(0o600)


def fill_cache(setup: Setup) -> None:
    setup.config["backends"]["mlx"]["diskCacheBytes"] = 1_000_000
    folder = setup.home / "kv-cache" / ("0" * 32)
    folder.mkdir(parents=True, mode=0o700)
    folder.parent.chmod(0o700)
    with open(folder / "span", "wb") as file:
        file.truncate(2_000_000)
    (folder / "span").chmod(0o600)


WARNING = Standing.WARNING

CASES = [
    Broken(
        "a wrong value",
        "configuration",
        lambda it: it.config.update(port="x"),
        'port is "x"',
        "config check",
    ),
    Broken(
        "an old configuration",
        "configuration",
        lambda it: it.config.update(claudeMode=True),
        "claudeMode",
        "the rest counts",
        WARNING,
        stops=False,
    ),
    Broken("a full disk", "state.space", lambda it: setattr(it, "free", 10_000), "10.0 kB are free", "prune"),
    Broken(
        "little room", "state.space", lambda it: setattr(it, "free", 2 * GB), "2.0 GB are", "prune", WARNING
    ),
    Broken(
        "an open file",
        "state.permissions",
        lambda it: (it.home / "traces" / "index.sqlite").chmod(0o644),
        "1 entry of",
        "--fix",
    ),
    Broken("an open folder", "state.permissions", lambda it: it.home.chmod(0o755), "(drwxr-xr-x)", "--fix"),
    Broken("what a dead session left", "state.leftovers", leave_settings, "a token", "--fix", WARNING),
    Broken("a damaged index", "traces.index", damage_index, "no trace is lost", "--fix"),
    Broken(
        "an index without a table",
        "traces.index",
        lambda it: index_with(it, "DROP TABLE notes"),
        "no such table: notes",
        "--fix",
    ),
    Broken(
        "a newer index",
        "traces.index",
        lambda it: index_with(it, f"PRAGMA user_version = {INDEX_VERSION + 1}"),
        "made by a newer",
        "update this program",
    ),
    Broken(
        "an index of an older version",
        "traces.index",
        lambda it: index_with(it, f"PRAGMA user_version = {INDEX_VERSION - 1}"),
        "older version",
        "--fix",
        WARNING,
    ),
    Broken(
        "a stale index",
        "traces.index",
        lambda it: it.traces.write(it.trace("req_2")),
        "lacks 1 trace ",
        "--fix",
        WARNING,
    ),
    Broken(
        "traces over their limit",
        "traces.size",
        lambda it: (it.config.update(traceMaxBytes=10), None),
        "1 trace over it",
        "traces prune",
        WARNING,
    ),
    Broken(
        "a cache over its limit", "cache.files", fill_cache, "2.0 MB of at most 1.0 MB", "next start", WARNING
    ),
    Broken(
        "no model folder",
        "model.folder",
        lambda it: it.config.update(backends={"mlx": {"model": "/nowhere"}}),
        "/nowhere does not exist",
        "--model",
    ),
    Broken(
        "a missing shard",
        "model.folder",
        lambda it: remove(it.model / "model-00002-of-00002.safetensors"),
        "1 of 2 weight files are missing",
        "download",
    ),
    Broken(
        "an index of other weights",
        "model.weights",
        lambda it: write_json(it.model / "model.safetensors.index.json", it.index({"gone.safetensors": "a"})),
        "belongs to other weights",
        "download the model again",
        WARNING,
        stops=False,
    ),
    Broken(
        "no tokenizer",
        "model.tokenizer",
        lambda it: remove(it.model / "tokenizer.json"),
        "no tokenizer",
        "download the model again",
    ),
    Broken(
        "a small window", "model.window", lambda it: it.write_model(8192), "8,192 tokens", "longer", WARNING
    ),
    Broken(
        "a broken MLX",
        "engine.mlx",
        lambda it: setattr(it, "fault", "ImportError: libmlx.so"),
        "ImportError: libmlx.so",
        "make install",
    ),
    Broken(
        "no GPU",
        "engine.mlx",
        lambda it: it.reports(device="cpu", device_fault="no Metal device"),
        "no Metal device",
        "desktop",
        WARNING,
        stops=False,
    ),
    Broken(
        "a slow BLAS",
        "engine.mlx",
        lambda it: it.reports(device="reference BLAS: install x"),
        "install x",
        "package",
        WARNING,
        stops=False,
    ),
    Broken(
        "an unknown architecture",
        "model.architecture",
        lambda it: it.reports(fault="model type 'x' is unknown to mlx-lm; upgrade mlx-lm or take another"),
        "unknown to mlx-lm",
        "upgrade mlx-lm",
    ),
    Broken(
        "no chat template",
        "model.template",
        lambda it: it.reports(template_fault="the model has no chat template"),
        "no chat template",
        "--model",
    ),
    Broken(
        "tools that the template drops",
        "model.tools",
        lambda it: it.reports(tools_rendered=False),
        "no place for tools",
        "--model",
    ),
    Broken("no tool family", "model.tools", lambda it: it.reports(family=""), "tool calls", "--tool-format"),
    Broken(
        "too large a model",
        "model.memory",
        lambda it: it.reports(weights_bytes=60 * GB),
        "the weights take 60.0 GB",
        "smaller model",
    ),
    Broken(
        "too small a machine",
        "model.memory",
        lambda it: it.reports(fitting_tokens=9000),
        "about 9,000 of 65,536 tokens",
        "kvBits",
        WARNING,
    ),
    Broken(
        "another token",
        "host.port",
        lambda it: setattr(it.host, "token", "s3cret"),
        "asks for its token",
        "ANYCLAUDE_TOKEN",
    ),
    Broken("other code", "host.code", lambda it: it.host.state.update(code="0ld"), "(0ld)", "start it again"),
    Broken(
        "other libraries",
        "host.code",
        lambda it: it.host.state.update(libraries={"mlx": "0.1"}),
        "mlx 0.1",
        "start it again",
    ),
    Broken(
        "a host from before",
        "host.code",
        lambda it: it.host.state.pop("code"),
        "does not say",
        "start it again",
        WARNING,
    ),
    Broken(
        "a failed engine",
        "host.engine",
        lambda it: it.engine(state="failed", last_exit="signal 9"),
        "failed: signal 9",
        "engine.log",
    ),
    Broken(
        "an engine that loads",
        "host.engine",
        lambda it: it.engine(state="loading", progress=0.25),
        "loading (25%)",
        "wait",
        WARNING,
    ),
    Broken(
        "an engine without its cache",
        "host.engine",
        lambda it: it.engine(notes=["the prefix cache is off, each prompt is computed whole: x"]),
        "the prefix cache is off",
        "docs/troubleshooting.md",
        WARNING,
        stops=False,
    ),
    Broken(
        "another host",
        "hosts.other",
        lambda it: it.processes.append((77, ["/x/bin/anyclaude-tui", "--no-ui"])),
        "pid 77",
        "kill",
        WARNING,
    ),
    Broken(
        "no answer",
        "answer.token",
        lambda it: setattr(it.host, "status", 529),
        "the engine is gone",
        "traces list --errors",
    ),
    Broken(
        "an answer without a token",
        "answer.token",
        lambda it: it.host.usages.append({"output_tokens": 0}),
        "has no token",
        "traces list",
    ),
    Broken(
        "a cache that is off",
        "answer.cache",
        lambda it: it.host.usages.extend([{"output_tokens": 1, "input_tokens": 9}] * 3),
        "cache_read_input_tokens is missing",
        "verify cache --exact",
    ),
    Broken(
        "a figure that is no number",
        "answer.cache",
        lambda it: it.host.usages.extend(
            [{"output_tokens": 1, "cache_creation_input_tokens": "some", "cache_read_input_tokens": None}] * 3
        ),
        "0 created, 0 read; second: 0 read",
        "verify cache --exact",
    ),
    Broken(
        "a figure that does not change",
        "answer.cache",
        lambda it: it.host.usages.extend(
            [{"output_tokens": 1, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 5}] * 3
        ),
        "5 created, 5 read; second: 5 read",
        "verify cache --exact",
    ),
    Broken(
        "dropped tools",
        "answer.tools",
        lambda it: setattr(it.host, "calls", False),
        "no tool call, though",
        "choose another model",
    ),
    Broken(
        "a model that thinks for long",
        "answer.tools",
        lambda it: (setattr(it.host, "calls", False), setattr(it.host, "thinks", True)),
        "still thought",
        "verify tools",
        WARNING,
    ),
    Broken(
        "no Claude Code", "claude.program", lambda it: remove(it.claude), "neither on the PATH", "npm install"
    ),
    Broken(
        "another Claude Code",
        "claude.version",
        lambda it: it.write_claude("echo 1.0.1"),
        "1.0.1",
        "@anthropic-ai/claude-code@2",
        WARNING,
    ),
    Broken(
        "a broken Claude Code",
        "claude.version",
        lambda it: it.write_claude("echo no node >&2; exit 127"),
        "127 and said: no node",
        "Node.js",
    ),
    Broken(
        "an overriding user setting",
        "claude.settings",
        lambda it: it.write_settings(ANTHROPIC_BASE_URL="https://me:p@ss/w@elsewhere.example?key=k"),
        "settings.json: its env sets ANTHROPIC_BASE_URL to https://***@elsewhere.example...",
        "anyclaude-tui claude",
    ),
    Broken(
        "another provider",
        "claude.settings",
        lambda it: it.write_settings(CLAUDE_CODE_USE_BEDROCK="1"),
        "CLAUDE_CODE_USE_BEDROCK",
        "remove it",
    ),
    Broken(
        "a broken settings file",
        "claude.settings",
        lambda it: (it.write_settings(), (it.user / ".claude" / "settings.json").write_text("{")),
        "cannot be read as settings",
        "mend it",
        WARNING,
    ),
    Broken(
        "managed settings",
        "claude.managed",
        lambda it: write_json(it.managed, {"env": {"ANTHROPIC_BASE_URL": "https://gateway.example"}}),
        "https://gateway.example",
        "whoever manages",
    ),
    Broken(
        "managed settings in a folder of them",
        "claude.managed",
        lambda it: write_json(
            it.managed.with_suffix(".d") / "10.json", {"env": {"CLAUDE_CODE_USE_VERTEX": "true"}}
        ),
        "10.json",
        "whoever manages",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_a_check_sees_what_is_broken_and_nothing_else_does(setup: Setup, case: Broken) -> None:
    setup.config.setdefault("backends", {"mlx": {"model": str(setup.model)}})
    case.breaks(setup)
    results = setup.examine()
    finding = results[case.check].finding
    assert case.evidence in finding.evidence
    assert case.advice in finding.advice
    others = dict.fromkeys(behind(case.check), Standing.NOT_CHECKED)
    loaded = case.standing is Standing.WARNING and finding.holds
    assert unwell(results) == {case.check: case.standing} | ({} if loaded else others)
    assert case.stops or loaded


def test_each_check_is_broken_by_a_case() -> None:
    elsewhere = {"engine.port"}  # below: it takes a listener
    assert {case.check for case in CASES} | elsewhere == NEEDS.keys()


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a program that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


class TestPorts:
    def test_without_a_host_there_is_a_warning_and_what_needs_one_is_not_checked(self, setup: Setup) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            setup.config["port"] = listener.getsockname()[1]
        setup.processes = []
        results = setup.examine()
        assert "anyclaude-tui" in results["host.port"].finding.advice
        behind_it = dict.fromkeys(behind("host.port"), Standing.NOT_CHECKED)
        assert unwell(results) == {"host.port": Standing.WARNING} | behind_it

    def test_another_program_on_the_port_is_named(self, setup: Setup, silent: int) -> None:
        setup.config["port"], setup.processes = silent, []
        results = setup.examine()
        finding = results["host.port"].finding
        assert f"port {silent} is held by " in finding.evidence
        assert f"(pid {os.getpid()})" in finding.evidence
        assert "--port" in finding.advice
        behind_it = dict.fromkeys(behind("host.port"), Standing.NOT_CHECKED)
        assert unwell(results) == {"host.port": Standing.FAILED} | behind_it

    def test_a_host_that_hangs_is_told_from_another_program(self, setup: Setup, silent: int) -> None:
        setup.config["port"] = silent
        setup.processes.append((77, ["python", "-P", "-m", "proxy"]))
        results = setup.examine()
        assert results["hosts.other"].finding.evidence.endswith("(pid 77)")
        finding = results["host.port"].finding
        assert finding.evidence == f"the host on port {silent} (pid {os.getpid()}) does not answer any more"
        assert f"kill {os.getpid()}" in finding.advice

    def test_the_engines_port_is_held_by_another_program(self, setup: Setup, silent: int) -> None:
        setup.config["enginePort"] = silent
        results = setup.examine()
        assert unwell(results) == {"engine.port": Standing.FAILED}
        assert "--engine-port" in results["engine.port"].finding.advice

    def test_the_engines_port_may_be_held_by_the_engine_of_the_host(self, setup: Setup, silent: int) -> None:
        setup.config["enginePort"] = silent
        setup.engine(url=f"http://127.0.0.1:{silent}")
        assert unwell(setup.examine()) == {}


class TestOtherBackends:
    def test_a_server_that_does_not_tell_what_it_caches_is_a_warning(self, setup: Setup) -> None:
        setup.config["backend"] = "lmstudio"
        setup.host.state["backend"] = "lmstudio"
        setup.host.usages.extend([{"output_tokens": 1, "input_tokens": 9}] * 3)
        results = setup.examine()
        assert results["answer.cache"].finding.standing is Standing.WARNING
        assert results["model.folder"].finding.evidence == "the backend lmstudio has its own model"
        assert results["engine.mlx"].finding.evidence == "the backend lmstudio does not use it"

    def test_a_server_that_tells_what_it_reads_but_not_what_it_stores_caches(self, setup: Setup) -> None:
        setup.host.state["backend"] = "lmstudio"
        warm = {"output_tokens": 1, "input_tokens": 9, "cache_read_input_tokens": 900}
        setup.host.usages.extend([{"output_tokens": 1, "input_tokens": 909}] * 2 + [warm])
        finding = setup.examine()["answer.cache"].finding
        assert finding.standing is Standing.OK
        assert finding.evidence.endswith("second: 900 read")

    def test_a_password_in_its_address_is_not_shown(self, setup: Setup) -> None:
        setup.host.state["backend"] = "lmstudio"
        setup.engine(url="http://me:s3cret@127.0.0.1:9")
        assert setup.examine()["host.engine"].finding.evidence.endswith("http://***@127.0.0.1:9")

    def test_no_request_is_sent_to_an_account(self, setup: Setup) -> None:
        setup.config["backend"] = setup.host.state["backend"] = "claude"
        results = setup.examine()
        assert results["answer.token"].finding.standing is Standing.NOT_CHECKED
        assert setup.host.requests == []


def test_claude_code_may_be_where_its_installer_puts_it(
    setup: Setup, capsys: pytest.CaptureFixture[str]
) -> None:
    installed = setup.user / ".local" / "bin" / "claude"
    installed.parent.mkdir(parents=True)
    setup.claude.rename(installed)
    results = setup.examine()
    assert unwell(results) == {}
    assert results["claude.program"].finding.evidence == (
        f"Claude Code is not on the PATH; using {installed}"
    )
    assert capsys.readouterr().err == ""  # it would break the line that shows progress


def test_a_model_that_is_not_downloaded_is_a_warning(setup: Setup) -> None:
    setup.config["backends"] = {"mlx": {"model": "nobody/no-such-model"}}
    finding = setup.examine()["model.folder"].finding
    assert finding.standing is Standing.WARNING
    assert "first start downloads it" in finding.advice


def test_each_value_comes_with_its_source_and_a_secret_is_hidden(setup: Setup) -> None:
    setup.config["token"] = setup.host.token = "s3cret"
    results = setup.examine()
    assert unwell(results) == {}
    details = results["configuration"].finding.details
    assert f"port = {setup.config['port']}  ({setup.user / '.anyclauderc.json'}: port)" in details
    assert "s3cret" not in json.dumps(details)


class TestRepairs:
    def test_what_is_safe_is_repaired_and_said(self, setup: Setup) -> None:
        leave_settings(setup)
        damage_index(setup)
        opened = setup.home / "traces" / "mlx"
        opened.chmod(0o755)
        results = setup.examine(repairs=True)
        assert unwell(results) == {}
        assert results["state.permissions"].repairs == (f"{opened} is yours alone now (0700)",)
        assert opened.stat().st_mode & 0o777 == 0o700
        assert [*(setup.home / "run").iterdir()] == []
        assert "is removed" in results["state.leftovers"].repairs[0]
        assert "knows 1 trace now" in results["traces.index"].repairs[-1]

    def test_what_was_repaired_before_an_error_is_said_too(
        self, setup: Setup, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second = setup.home, setup.home / "traces"
        for path in (first, second):
            path.chmod(0o755)
        real = os.fchmod

        def once(descriptor: int, mode: int) -> None:
            monkeypatch.setattr(os, "fchmod", refused)
            real(descriptor, mode)

        def refused(*_: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "fchmod", once)
        result = setup.examine(repairs=True)["state.permissions"]
        assert result.repairs == (f"{first} is yours alone now (0700)",)
        assert "it could not be repaired" in result.finding.details[-1]

    def test_a_stale_index_is_brought_up_to_date(self, setup: Setup) -> None:
        setup.traces.write(setup.trace("req_2"))
        results = setup.examine(repairs=True)
        assert unwell(results) == {}
        assert "knows 2 traces now" in results["traces.index"].repairs[-1]

    def test_what_was_not_asked_for_stays(self, setup: Setup) -> None:
        setup.home.chmod(0o755)
        setup.examine()
        assert setup.home.stat().st_mode & 0o777 == 0o755

    def test_links_are_judged_by_where_they_lead(self, setup: Setup) -> None:
        elsewhere = setup.user / "large-disk"
        (elsewhere / ("0" * 32)).mkdir(parents=True, mode=0o700)
        elsewhere.chmod(0o750)
        (setup.home / "kv-cache").symlink_to(elsewhere)
        (setup.home / "traces" / "mlx" / "link.json").symlink_to("/etc/hostname")
        results = setup.examine(repairs=True)
        assert results["state.permissions"].repairs == (f"{elsewhere} is yours alone now (0700)",)
        assert unwell(results) == {}

    def test_the_users_own_files_beside_ours_are_left_alone(self, setup: Setup) -> None:
        chosen = setup.user / "documents"
        setup.home.rename(chosen)
        setup.config["home"] = str(chosen)
        (chosen / "letter.txt").write_text("mine")
        for path in (chosen, chosen / "letter.txt"):
            path.chmod(0o755)
        results = setup.examine(repairs=True)
        assert unwell(results) == {}
        assert (chosen / "letter.txt").stat().st_mode & 0o777 == 0o755


def test_a_folder_that_cannot_be_read_fails_its_check_alone(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> object:
        raise PermissionError(13, "Permission denied", "/the/traces")

    monkeypatch.setattr("tui.commands.doctor.records.plan_prune", refused)
    results = setup.examine()
    assert unwell(results) == {"traces.size": Standing.FAILED}
    assert results["traces.size"].finding.evidence == "/the/traces: Permission denied"


def test_a_tokenizer_nested_without_end_fails_its_check_alone(setup: Setup) -> None:
    (setup.model / "tokenizer.json").write_text("[" * 100_000)
    results = setup.examine()
    assert "tokenizer.json cannot be read (maximum recursion" in results["model.tokenizer"].finding.evidence
    behind_it = dict.fromkeys(behind("model.tokenizer"), Standing.NOT_CHECKED)
    assert unwell(results) == {"model.tokenizer": Standing.FAILED} | behind_it


def test_weights_that_are_cut_short_are_seen(setup: Setup) -> None:
    write_weights(setup.model / "model-00001-of-00002.safetensors", "a")
    os.truncate(setup.model / "model-00001-of-00002.safetensors", 20)
    assert unwell(setup.examine())["model.folder"] is Standing.FAILED
