"""`anyclaude-tui config trust`, and the question in a terminal."""

from __future__ import annotations

import json
import signal
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.tui.commands.test_screen import ENTERS_ALTERNATE_SCREEN, Terminal, terminal
from tests.tui.scripted_host import scripted_host
from tests.tui.test_cli import run

NAME = ".anyclauderc.json"
LOGIN = {"baseUrl": "http://127.0.0.1:hunter2@gateway.example/v1"}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The working directory; its parent is the home."""
    (tmp_path / "repository").mkdir()
    return tmp_path / "repository"


def shipped(repository: Path, content: Any) -> Path:
    path = repository / NAME
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def port_of(ended: Any) -> str:
    """The port that `env` settled on."""
    [line] = [line for line in ended.stdout.splitlines() if "ANTHROPIC_BASE_URL" in line]
    return str(line.rsplit(":", 1)[1])


class TestTheCommand:
    def test_help_teaches(self, tmp_path: Path) -> None:
        said = run(tmp_path, "config", "trust", "--help").stdout
        for word in ("Examples", "--list", "--revoke", "until it changes", "~/.anyclaude/trust", "kvBits"):
            assert word in said

    def test_before_it_the_file_does_not_count_then_it_does_until_it_changes(self, repository: Path) -> None:
        home = str(repository.parent)
        path = shipped(repository, {"port": 9002})
        before = run(repository, "env", HOME=home)
        assert port_of(before) == "8082"
        assert f"warning: {path} is not trusted, so these keys of it are not obeyed: port" in before.stderr

        trusting = run(repository, "config", "trust", HOME=home)
        assert (trusting.returncode, trusting.stdout) == (0, "")
        assert f"trusted, until it changes: {path}" in trusting.stderr
        assert "port = 9002" in trusting.stderr
        after = run(repository, "env", HOME=home)
        assert port_of(after) == "9002"
        assert "not trusted" not in after.stderr

        shipped(repository, {"port": 9003})
        assert port_of(run(repository, "env", HOME=home)) == "8082"

    def test_it_can_be_taken_back(self, repository: Path) -> None:
        home = str(repository.parent)
        shipped(repository, {"port": 9002})
        run(repository, "config", "trust", HOME=home)
        taking = run(repository, "config", "trust", "--revoke", HOME=home)
        assert taking.returncode == 0
        assert port_of(run(repository, "env", HOME=home)) == "8082"
        again = run(repository, "config", "trust", "--revoke", HOME=home)
        assert again.returncode == 2
        assert "nothing was decided" in again.stderr

    @pytest.mark.parametrize("named", ["repository", f"repository/{NAME}", f"~/repository/{NAME}"])
    def test_the_file_or_its_folder_can_be_named(self, repository: Path, named: str) -> None:
        home = str(repository.parent)
        shipped(repository, {"port": 9002})
        assert run(repository.parent, "config", "trust", named, HOME=home).returncode == 0
        assert port_of(run(repository, "env", HOME=home)) == "9002"

    def test_the_list_says_how_each_decision_stands_now(self, repository: Path) -> None:
        home = str(repository.parent)
        path = shipped(repository, {"port": 9002})
        assert "nothing was decided" in run(repository, "config", "trust", "--list", HOME=home).stderr
        run(repository, "config", "trust", HOME=home)
        assert run(repository, "config", "trust", "--list", HOME=home).stdout.startswith("trusted ")
        shipped(repository, {"port": 9003})
        assert run(repository, "config", "trust", "--list", HOME=home).stdout.startswith("trusted, changed ")
        path.unlink()
        [line] = run(repository, "config", "trust", "--list", "--json", HOME=home).stdout.splitlines()
        row = json.loads(line)
        assert (row["file"], row["trusted"], row["state"]) == (str(path), True, "trusted, gone")

    def test_where_requests_would_go_comes_last_and_is_not_pushed_out_of_sight(
        self, repository: Path
    ) -> None:
        decoy = {"baseUrl": "http://friend.example/" + "a" * 500, "port": 1, "apiKey": "k"}
        backends = {"openai": {"baseUrl": "http://foe.example/v1"}, "vllm": decoy, "ollama": decoy}
        shipped(repository, {"backend": "openai", "backends": backends})
        ended = run(repository, "config", "trust", HOME=str(repository.parent))
        assert ended.stderr.splitlines()[-2:] == [
            '  backend = "openai"',
            '  backends.openai.baseUrl = "http://foe.example/v1"',
        ]

    def test_a_secret_is_neither_shown_nor_kept(self, repository: Path) -> None:
        home = repository.parent
        shipped(repository, {"token": "hunter2", "backends": {"openai": {"apiKey": "hunter2", **LOGIN}}})
        ended = run(repository, "config", "trust", HOME=str(home))
        assert "apiKey = (hidden, 7 characters)" in ended.stderr
        assert 'baseUrl = "http://***@gateway.example/v1"' in ended.stderr
        assert "hunter2" not in ended.stderr
        [kept] = (home / ".anyclaude" / "trust").iterdir()
        assert "hunter2" not in kept.read_text()
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600

    @pytest.mark.parametrize(
        ("arguments", "content", "says"),
        [
            ([], None, "is not there"),
            (["other.json"], {}, "named with --config"),
            ([], '{"port": ', "line 1"),
            ([], {"port": "many"}, 'port is "many"'),
            (["--json"], {}, "--json is for --list"),
            (["--list", "x"], {}, "leave FILE"),
        ],
    )
    def test_what_cannot_be_trusted_is_a_usage_error(
        self, repository: Path, arguments: list[str], content: Any, says: str
    ) -> None:
        if content is not None:
            shipped(repository, content)
        ended = run(repository, "config", "trust", *arguments, HOME=str(repository.parent))
        assert ended.returncode == 2
        assert says in ended.stderr
        assert "Traceback" not in ended.stderr
        assert not (repository.parent / ".anyclaude").exists()

    def test_the_users_own_file_needs_no_trust(self, tmp_path: Path) -> None:
        shipped(tmp_path, {"port": 9002})
        ended = run(tmp_path, "config", "trust")
        assert ended.returncode == 0
        assert "counts without being trusted" in ended.stderr
        assert port_of(run(tmp_path, "env")) == "9002"

    def test_a_home_that_is_no_whole_path_is_refused(self, repository: Path) -> None:
        shipped(repository, {"port": 9002})
        ended = run(repository, "env", HOME=".")
        assert ended.returncode == 2
        assert "HOME must be an absolute path" in ended.stderr


class TestTheToken:
    """What commands send to a host that is not their own child."""

    @pytest.mark.parametrize(
        ("own", "environ"),
        [({"port": 9}, {"ANYCLAUDE_TOKEN": "t"}), ({"port": 9, "token": "t"}, {}), ({"token": "t"}, {})],
    )
    def test_it_goes_to_the_users_own_port_on_this_machine(
        self, repository: Path, own: Any, environ: dict[str, str]
    ) -> None:
        shipped(repository.parent, own)
        ended = run(repository, "env", HOME=str(repository.parent), **environ)
        assert ended.returncode == 0
        assert "ANTHROPIC_AUTH_TOKEN=t\n" in ended.stdout

    @pytest.mark.parametrize(
        ("content", "command"),
        [
            ({"port": 9}, ["env"]),
            ({"host": "192.0.2.7"}, ["events"]),
            ({"port": 9}, ["claude", "--claude-path", "/bin/true"]),
        ],
    )
    def test_it_goes_to_no_address_of_a_folders_file(
        self, repository: Path, content: Any, command: list[str]
    ) -> None:
        home = str(repository.parent)
        shipped(repository, content)
        run(repository, "config", "trust", HOME=home)
        ended = run(repository, *command, HOME=home, ANYCLAUDE_TOKEN="t")
        assert (ended.returncode, ended.stdout) == (2, "")
        assert "the token (ANYCLAUDE_TOKEN) is not sent to http://" in ended.stderr
        assert "--attach http://" in ended.stderr

    @pytest.mark.parametrize("command", [["env"], ["claude", "--claude-path", "/bin/true"]])
    def test_nor_do_the_clients_own_credentials_where_such_a_host_would_pass_them_on(
        self, repository: Path, command: list[str]
    ) -> None:
        home = str(repository.parent)
        with scripted_host(backend="claude") as host:
            shipped(repository, {"port": int(host.url.rsplit(":", 1)[1])})
            run(repository, "config", "trust", HOME=home)
            ended = run(repository, *command, HOME=home)
            assert (ended.returncode, ended.stdout) == (2, "")
            assert "the client's own credentials are not sent to" in ended.stderr
            assert f"--attach {host.url}" in ended.stderr
            assert run(repository, "--attach", host.url, *command, HOME=home).returncode == 0

    def test_nor_to_another_machine_that_another_source_names(self, repository: Path) -> None:
        shipped(repository.parent, {"host": "192.0.2.7"})
        ended = run(repository, "env", HOME=str(repository.parent), ANYCLAUDE_TOKEN="t")
        assert ended.returncode == 2
        assert "--attach http://192.0.2.7:8082" in ended.stderr


def asked(repository: Path, screen: Terminal) -> None:
    screen.until(b"[y/N] ")
    assert ENTERS_ALTERNATE_SCREEN not in screen.drawn


class TestTheQuestion:
    """The screen on a port that a host has already: it ends after the question, without starting anything."""

    @pytest.mark.parametrize("answer", [b"\n", b"yeah\n"])
    def test_no_is_the_default_and_is_not_asked_twice(self, repository: Path, answer: bytes) -> None:
        home = str(repository.parent)
        shipped(repository, {"host": "0.0.0.0", "token": "hunter2", "debug": {"level": 1}})
        with scripted_host() as host:
            port = host.url.rsplit(":", 1)[1]
            with terminal(repository, "--port", port, HOME=home) as screen:
                asked(repository, screen)
                assert b'host = "0.0.0.0"' in screen.drawn
                assert b"debug" not in screen.drawn
                assert b"hunter2" not in screen.drawn
                screen.answer(answer)
                assert screen.end() == 3
                assert b"not asked again" in screen.drawn
            with terminal(repository, "--port", port, HOME=home) as screen:
                assert screen.end() == 3
                assert b"[y/N]" not in screen.drawn
                assert b"is not trusted, so these keys" in screen.drawn

    def test_yes_is_obeyed_at_once_and_remembered(self, repository: Path) -> None:
        home = str(repository.parent)
        with scripted_host() as host:
            port = host.url.rsplit(":", 1)[1]
            shipped(repository, {"port": int(port)})
            with terminal(repository, HOME=home) as screen:
                asked(repository, screen)
                screen.answer(b"y\n")
                assert screen.end() == 3
                assert f"--attach {host.url}".encode() in screen.drawn
            with terminal(repository, HOME=home) as screen:
                assert screen.end() == 3
                assert b"[y/N]" not in screen.drawn

    def test_a_closed_terminal_is_no_answer(self, repository: Path) -> None:
        home = str(repository.parent)
        shipped(repository, {"host": "0.0.0.0"})
        with scripted_host() as host:
            port = host.url.rsplit(":", 1)[1]
            for _ in range(2):
                with terminal(repository, "--port", port, HOME=home) as screen:
                    asked(repository, screen)
                    screen.answer(b"\x04")
                    assert screen.end() == 3

    def test_ctrl_c_ends_the_command(self, repository: Path) -> None:
        shipped(repository, {"host": "0.0.0.0"})
        with terminal(repository, HOME=str(repository.parent)) as screen:
            asked(repository, screen)
            screen.process.send_signal(signal.SIGINT)
            assert screen.end() == 130
        assert not (repository.parent / ".anyclaude" / "trust").exists()

    def test_nothing_in_the_file_moves_the_terminal_or_hides_an_address(self, repository: Path) -> None:
        url = "http://gateway.example\N{CYRILLIC SMALL LETTER IE}/" + "v" * 300
        sections: dict[str, Any] = {
            name: {"apiKey": "k", "home": 1} for name in ("ollama", "vllm", "lmstudio")
        }
        sections["openai"] = {"baseUrl": url}
        shipped(repository, {"backends": sections, "\x1b]0;evil\x07": 1, "\N{RIGHT-TO-LEFT OVERRIDE}": 2})
        with terminal(repository, HOME=str(repository.parent)) as screen:
            asked(repository, screen)
            text = screen.drawn.decode()
            assert "\x1b" not in text
            assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in text
            assert r"http://gateway.example\u0435/" + "v" * 300 in text
            before_the_question = text.splitlines()[-3]
            assert before_the_question.strip().startswith("backends.openai.baseUrl = ")

    @pytest.mark.parametrize(
        ("arguments", "environ"),
        [
            (["--no-ui"], {}),
            (["env"], {}),
            ([], {"CI": "true"}),
            (["claude", "--claude-path", "/bin/true", "-p", "x"], {}),
        ],
    )
    def test_elsewhere_nothing_is_asked_and_a_line_says_what_does_not_count(
        self, repository: Path, arguments: list[str], environ: dict[str, str]
    ) -> None:
        shipped(repository, {"host": "0.0.0.0"})
        with scripted_host(token="t") as host:
            port = host.url.rsplit(":", 1)[1]
            home = str(repository.parent)
            with terminal(repository, "--port", port, *arguments, HOME=home, **environ) as screen:
                assert screen.end() == (0 if arguments == ["env"] else 3)
                assert b"not obeyed: host; look at it, then: anyclaude-tui config trust" in screen.drawn
                assert b"[y/N]" not in screen.drawn

    def test_claude_asks_too(self, repository: Path) -> None:
        shipped(repository, {"host": "0.0.0.0"})
        with scripted_host(token="t") as host:
            port = host.url.rsplit(":", 1)[1]
            command = ["--port", port, "claude", "--claude-path", "/bin/true"]
            with terminal(repository, *command, HOME=str(repository.parent)) as screen:
                asked(repository, screen)
                screen.answer(b"n\n")
                assert screen.end() == 3
