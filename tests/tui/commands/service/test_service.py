"""`service`, with `systemctl` and `launchctl` played by programs on the PATH; real readers read its files."""

from __future__ import annotations

import json
import plistlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.process.exit_codes import ExitCode
from tui.commands.exit_codes import CommandFailed
from tui.commands.invocation import Invocation
from tui.commands.service import launchd
from tui.commands.service.command import run_install, run_remove, run_service_status
from tui.commands.service.launchd import agent_content, run_under_launchd
from tui.commands.service.plan import ServicePlan
from tui.commands.service.systemd import unit_text

# Both keep "loaded" and "running" as files, and fail as the real ones do.
SYSTEMCTL = """
echo "$*" >> "$PLAYED/calls"
[ -e "$PLAYED/no-bus" ] && { echo "Failed to connect to bus: No medium found" >&2; exit 1; }
case "$2" in
  restart) touch "$PLAYED/running";;
  disable) rm -f "$PLAYED/running";;
  is-active) [ -e "$PLAYED/running" ] && echo active && exit 0; echo inactive; exit 3;;
esac
exit 0
"""
LAUNCHCTL = """
echo "$*" >> "$PLAYED/calls"
[ -e "$PLAYED/no-bus" ] && { echo "Domain does not support specified action" >&2; exit 125; }
case "$1" in
  bootstrap) [ -e "$PLAYED/loaded" ] && { echo "Bootstrap failed: 5: Input/output error" >&2; exit 5; }
     touch "$PLAYED/loaded" "$PLAYED/running";;
  bootout) rm "$PLAYED/loaded" "$PLAYED/running";;
  print) [ -e "$PLAYED/loaded" ] || { echo "Could not find service" >&2; exit 113; }
     [ -e "$PLAYED/running" ] && printf '\\tstate = running\\n' || printf '\\tstate = not running\\n';;
esac
"""
FILES = {
    "Linux": ".config/systemd/user/anyclaude-tui.service",
    "Darwin": "Library/LaunchAgents/local.anyclaude-tui.plist",
}


@pytest.fixture(params=FILES)
def system(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, and the two programs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("systemctl", SYSTEMCTL), ("launchctl", LAUNCHCTL)):
        (folder / name).write_text(f"#!/bin/sh\n{text}")
        (folder / name).chmod(0o700)
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def invocation(home: Path, options: dict[str, object] | None = None, **environ: str) -> Invocation:
    path = f"{home / 'bin'}:/usr/bin:/bin"
    return Invocation(
        {"port": 0, **(options or {})}, "", {"HOME": str(home), "PATH": path, "PLAYED": str(home), **environ}
    )


def calls(home: Path) -> list[str]:
    return (home / "calls").read_text().splitlines()


def test_it_is_installed_twice_shown_stopped_and_removed(
    played: Path, system: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked, file = invocation(played), played / FILES[system]
    assert run_service_status(asked, system=system) == 1
    assert "not installed" in capsys.readouterr().out

    assert run_install(asked, system=system) == 0
    said = capsys.readouterr()
    assert said.out == f"{file}\n"
    assert "to undo this: anyclaude-tui service remove" in said.err
    assert file.stat().st_mode & 0o077 == 0
    assert run_service_status(asked, system=system) == 0
    assert "service   running" in capsys.readouterr().out

    assert run_install(invocation(played, {"port": 9000}), system=system) == 0
    assert "replaced" in capsys.readouterr().err
    assert b"9000" in file.read_bytes()
    assert (played / "running").exists()

    (played / "running").unlink()
    assert run_service_status(asked, system=system, json_wanted=True) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["installed"], told["file"]) == (True, str(file))
    assert told["state"] in ("inactive", "not running")

    (played / "running").touch()
    assert run_remove(asked, system=system) == 0
    assert "are kept" in capsys.readouterr().err
    assert not file.exists()
    assert not (played / "running").exists()
    assert run_remove(asked, system=system) == 0
    assert "there is no service" in capsys.readouterr().err


def test_where_the_manager_refuses_the_file_stays_and_the_user_is_told_what_to_type(
    played: Path, system: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (played / "no-bus").touch()
    assert run_install(invocation(played), system=system) == 1
    said = capsys.readouterr().err
    assert (played / FILES[system]).exists()
    assert "did not start it" in said
    assert "by hand: systemctl --user daemon-reload" in said or "by hand: launchctl bootstrap" in said
    assert run_service_status(invocation(played), system=system) == 1
    run_remove(invocation(played), system=system)
    assert not (played / FILES[system]).exists()


def test_a_manager_without_its_program_and_another_system_are_errors(
    played: Path, system: str, capsys: pytest.CaptureFixture[str]
) -> None:
    without = Invocation({"port": 0}, "", {"HOME": str(played), "PATH": str(played)})
    assert run_install(without, system=system) == 1
    assert "is not on the PATH" in capsys.readouterr().err
    with pytest.raises(CommandFailed, match="for macOS and Linux"):
        run_install(without, system="Haiku")


def test_a_wrong_configuration_is_not_installed(played: Path) -> None:
    (played / ".anyclauderc.json").write_text('{"port": "many"}')
    with pytest.raises(ValueError, match="port"):
        run_install(invocation(played), system="Linux")
    assert not (played / FILES["Linux"]).exists()


def test_a_state_folder_that_cannot_be_used_is_an_error(played: Path, system: str) -> None:
    (played / ".anyclaude").write_text("")
    with pytest.raises(CommandFailed, match="no service was written"):
        run_install(invocation(played), system=system)
    assert not (played / FILES[system]).exists()


def test_options_and_variables_go_along_and_secrets_do_not(
    played: Path, system: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (played / "work" / "M").mkdir()
    (played / "work" / ".anyclauderc.json").write_text('{"debug": {"level": 1}}')
    options: dict[str, object] = {"home": "state", "backend_name": "openai", "model": "org/M"}
    asked = invocation(
        played,
        options,
        ANYCLAUDE_TOKEN="sesame",
        ANYCLAUDE_API_KEY="open",
        ANYCLAUDE_BASE_URL="http://me:hidden@127.0.0.1:9/v1",
        ANYCLAUDE_MAX_BATCH="2",
        HF_HOME="/models/hf",
        HF_TOKEN="hf_hidden",
        OTHER="other",
    )
    assert run_install(asked, system=system) == 0
    text = (played / FILES[system]).read_text()
    said = capsys.readouterr().err
    for secret in ("sesame", "hidden", '"open"', ">open<", "other"):
        assert secret not in text + said
    for name in ("ANYCLAUDE_TOKEN", "ANYCLAUDE_API_KEY", "ANYCLAUDE_BASE_URL", "HF_TOKEN"):
        assert f"{name} is a secret and is not written" in said
    assert "does not count for the service" in said
    for carried in (str(played / "work" / "state"), "org/M", "ANYCLAUDE_MAX_BATCH", "/models/hf", "--no-ui"):
        assert carried in text


def test_paths_and_addresses_of_options_are_whole_and_without_secrets(
    played: Path, system: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_install(invocation(played, {"adapter": "./tuned lora"}), system=system) == 0
    assert str(played / "work" / "tuned lora") in (played / FILES[system]).read_text()
    assert run_install(invocation(played, {"adapter": "~nobody-of-this-name/x"}), system=system) == 0
    assert str(played / "work" / "~nobody-of-this-name" / "x") in (played / FILES[system]).read_text()
    options: dict[str, object] = {"backend_name": "openai", "model": "m"}
    options["backend_url"] = "http://me:hidden@127.0.0.1:9/v1"
    assert run_install(invocation(played, options), system=system) == 0
    said = capsys.readouterr().err
    assert "hidden" not in (played / FILES[system]).read_text() + said
    assert "--base-url is a secret and is not written" in said


PLANS = {
    "plain": ServicePlan(("/usr/bin/true",), {}, Path("/tmp")),
    "spaces and signs": ServicePlan(
        ("{folder}/my 100% $HOME tools/anyclaude-tui", "--model", "/m/a b%n $PATH \"q\" 'p' \\ ${{X}} ü;#"),
        {"ANYCLAUDE_HOME": '/h/a b%h "q" \\n $X', "HF_HOME": "%%"},
        Path("/tmp"),
    ),
}


@pytest.fixture(params=PLANS)
def plan(request: pytest.FixtureRequest, tmp_path: Path) -> ServicePlan:
    """A plan whose program is there."""
    given = PLANS[request.param]
    program = given.arguments[0].format(folder=tmp_path)
    Path(program).parent.mkdir(parents=True, exist_ok=True)
    if not Path(program).exists():
        shutil.copy("/usr/bin/true", program)
    return ServicePlan((program, *given.arguments[1:]), given.environment, tmp_path)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_systemd_accepts_the_unit(tmp_path: Path, plan: ServicePlan) -> None:
    unit = tmp_path / "anyclaude-tui.service"
    unit.write_text(unit_text(plan))
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--recursive-errors=no", str(unit)],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(runtime)},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_restarts_after_failures_but_not_after_a_wrong_configuration(plan: ServicePlan) -> None:
    lines = unit_text(plan).splitlines()
    assert "Restart=on-failure" in lines
    assert f"RestartPreventExitStatus={ExitCode.USAGE.value}" in lines
    assert "%" not in "".join(lines).replace("%%", "")


@pytest.mark.parametrize("arguments", [("/a\nb",), ('/a"b',), ("/a", "x\ny")])
def test_what_cannot_be_written_into_a_unit_is_refused(arguments: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"not allowed|line break"):
        unit_text(ServicePlan(arguments, {}, Path("/tmp")))


def test_launchd_gets_every_word_as_it_is(plan: ServicePlan) -> None:
    agent = plistlib.loads(agent_content(plan))
    assert agent["ProgramArguments"] == [*plan.arguments, "--no-ui", "--under-launchd"]
    assert agent["EnvironmentVariables"] == plan.environment
    assert (agent["RunAtLoad"], agent["KeepAlive"]) == (True, {"SuccessfulExit": False})
    assert {type(value) for value in agent.values()} <= {str, bool, int, list, dict}


@pytest.mark.parametrize(
    ("ends", "code", "gives_up"),
    [
        (lambda: 0, 0, False),
        (lambda: ExitCode.INTERRUPTED, 0, False),
        (lambda: _raise(CommandFailed(ExitCode.USAGE, "no such model")), 0, True),
        (lambda: _raise(CommandFailed(ExitCode.PORT_BUSY, "taken")), 3, False),
        (lambda: _raise(CommandFailed(ExitCode.ENGINE_FAILED, "no memory")), 4, False),
    ],
)
def test_launchd_starts_again_what_failed_but_not_a_wrong_configuration(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ends: Callable[[], int],
    code: int,
    gives_up: bool,
) -> None:
    monkeypatch.setattr(launchd, "run_headless", lambda _: ends())
    assert run_under_launchd(Invocation()) == code
    assert ("not started again" in capsys.readouterr().err) is gives_up


def _raise(error: Exception) -> int:
    raise error
