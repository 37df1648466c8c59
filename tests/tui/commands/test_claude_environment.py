from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.proxy.configuration.test_model_folder import model
from tui.commands.claude_environment import (
    OTHER_PROVIDERS,
    ClaudeEnvironment,
    claude_environment,
    model_name,
)
from tui.commands.claude_settings import left_behind, overlay
from tui.commands.env import as_text
from tui.commands.exit_codes import CommandFailed

URL = "http://127.0.0.1:8082"


def made(**given: Any) -> ClaudeEnvironment:
    return claude_environment(
        URL, **{"token": "", "backend": "mlx", "model": "org/Model", "environ": {}} | given
    )


class TestVariables:
    def test_they_point_at_the_host_and_at_nobody_else(self) -> None:
        variables = made().variables
        assert variables["ANTHROPIC_BASE_URL"] == URL
        assert variables["ANTHROPIC_AUTH_TOKEN"]
        assert variables["ANTHROPIC_API_KEY"] == ""
        assert variables["CLAUDE_CODE_ATTRIBUTION_HEADER"] == "0"
        assert variables["CLAUDE_CODE_GATEWAY_HINT_HEADERS"] == "1"
        assert variables["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"] == "1"
        assert set(OTHER_PROVIDERS) < set(made().unset)
        assert "CLAUDE_CODE_OAUTH_TOKEN" in made().unset

    def test_every_model_is_the_hosts_own(self) -> None:
        variables = made(model="org/Model").variables
        names = {name for name, value in variables.items() if value == "org/Model"}
        assert {f"ANTHROPIC_DEFAULT_{size}_MODEL" for size in ("OPUS", "SONNET", "HAIKU")} < names
        assert "CLAUDE_CODE_SUBAGENT_MODEL" in names

    def test_a_server_that_names_no_model_is_called_by_its_own_name(self) -> None:
        variables = made(backend="openai", backend_name="lmstudio", model="").variables
        assert variables["ANTHROPIC_MODEL"] == "lmstudio"
        assert made(model="").variables["ANTHROPIC_MODEL"] == "bundled-demo-model"

    def test_the_hosts_token_is_the_clients(self) -> None:
        assert made(token="secret").variables["ANTHROPIC_AUTH_TOKEN"] == "secret"

    def test_the_models_window_is_set(self, tmp_path: Path) -> None:
        folder = model(tmp_path, config={"model_type": "m", "max_position_embeddings": 262144})
        variables = made(model=str(folder)).variables
        assert variables["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] == "262144"
        assert variables["CLAUDE_CODE_AUTO_COMPACT_WINDOW"] == "262144"

    def test_a_window_below_the_clients_least_is_no_compact_window_and_shortens_answers(self) -> None:
        variables = made(context_tokens=40_000).variables
        assert variables["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] == "40000"
        assert variables["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] == "4096"
        assert "CLAUDE_CODE_AUTO_COMPACT_WINDOW" not in variables

    def test_window_variables_of_an_earlier_host_are_unset(self) -> None:
        before = dict(made(context_tokens=40_000).variables)
        after = made(context_tokens=131_072, environ=before)
        assert after.variables["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] == "131072"
        assert "CLAUDE_CODE_MAX_OUTPUT_TOKENS" not in after.applied_to(before)
        assert "CLAUDE_CODE_MAX_CONTEXT_TOKENS" not in made(backend="claude", environ=before).applied_to(
            before
        )

    def test_an_unknown_window_is_left_to_the_client(self) -> None:
        assert "CLAUDE_CODE_MAX_CONTEXT_TOKENS" not in made().variables

    def test_passing_through_keeps_account_and_models(self) -> None:
        passing = made(backend="claude")
        assert passing.variables["ANTHROPIC_BASE_URL"] == URL
        assert not {"ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY", "ANTHROPIC_MODEL"} & set(passing.variables)
        assert "CLAUDE_CODE_OAUTH_TOKEN" not in passing.unset
        assert "apiKeyHelper" not in passing.settings()

    @pytest.mark.parametrize(
        ("environ", "settings", "no_proxy"),
        [
            ({}, "", "127.0.0.1,localhost,::1"),  # files may name one, which is known to the client alone
            ({"NO_PROXY": "corp, localhost"}, "", "corp,localhost,127.0.0.1,::1"),
            ({"no_proxy": "corp"}, "lab", "lab,127.0.0.1,localhost,::1"),
            ({"NO_PROXY": "*"}, "", "*"),
        ],
    )
    def test_a_web_proxy_does_not_get_what_is_for_the_host(
        self, environ: dict[str, str], settings: str, no_proxy: str
    ) -> None:
        told = made(environ=environ, no_proxy=settings)
        assert told.variables["NO_PROXY"] == told.variables["no_proxy"] == no_proxy
        assert told.settings()["env"]["NO_PROXY"] == no_proxy

    def test_nor_what_is_for_a_host_on_another_machine(self) -> None:
        told = claude_environment("http://lab:8082", token="t", backend="mlx", model="m", environ={})
        assert told.variables["NO_PROXY"] == "127.0.0.1,localhost,::1,lab"

    def test_applied_it_takes_out_and_puts_in_and_leaves_the_rest(self) -> None:
        environ = {"PATH": "/bin", "CLAUDE_CODE_USE_BEDROCK": "1", "ANTHROPIC_BASE_URL": "https://elsewhere"}
        applied = made().applied_to(environ)
        assert applied["PATH"] == "/bin"
        assert applied["ANTHROPIC_BASE_URL"] == URL
        assert "CLAUDE_CODE_USE_BEDROCK" not in applied


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("/models/Qwen3-Coder", "Qwen3-Coder"),
        ("org/Model", "org/Model"),
        ("gpt", "gpt"),
        ("", "bundled-demo-model"),
    ],
)
def test_a_model_is_called_by_its_name(given: str, name: str) -> None:
    assert model_name(given) == name


class TestOverlay:
    def test_it_goes_over_the_users_own_settings(self, tmp_path: Path) -> None:
        theirs = {
            "model": "opus",
            "apiKeyHelper": "pass show key",
            "permissions": {"deny": ["Bash"], "allow": ["Read"], "defaultMode": "plan"},
            "env": {"ANTHROPIC_BASE_URL": "https://elsewhere", "MINE": "1"},
        }
        with overlay(made(), theirs, [], folder=tmp_path) as arguments:
            both = json.loads(Path(arguments[1]).read_text())
        assert both["model"] == "opus"
        assert both["apiKeyHelper"] == ""
        assert both["permissions"] == theirs["permissions"] | {"disableAutoMode": "disable"}
        assert both["env"]["MINE"] == "1"
        assert both["env"]["ANTHROPIC_BASE_URL"] == URL
        assert both["env"]["CLAUDE_CODE_USE_BEDROCK"] == ""

    def test_it_is_private_and_gone_afterwards(self, tmp_path: Path) -> None:
        with overlay(made(token="secret"), {"a": 1}, ["-p"], folder=tmp_path / "run") as arguments:
            option, path, *rest = arguments
            assert (option, rest) == ("--settings", ["-p"])
            settings = json.loads(Path(path).read_text())
            assert settings["a"] == 1
            assert settings["env"]["ANTHROPIC_AUTH_TOKEN"] == "secret"
            assert Path(path).stat().st_mode & 0o777 == 0o600
        assert not Path(path).exists()

    def test_a_status_line_is_there_on_request_and_yields_to_one_that_was_given(self, tmp_path: Path) -> None:
        given = {"statusLine": {"type": "command", "command": "mine"}}
        for theirs, command in (({}, "ours"), (given, "mine")):
            with overlay(made(), theirs, [], folder=tmp_path, status_line="ours") as arguments:
                settings = json.loads(Path(arguments[1]).read_text())
            assert settings["statusLine"]["command"] == command
        with overlay(made(), {}, [], folder=tmp_path) as arguments:
            assert "statusLine" not in json.loads(Path(arguments[1]).read_text())

    def test_what_a_killed_session_left_behind_is_removed(self, tmp_path: Path) -> None:
        with subprocess.Popen([sys.executable, "-c", ""]) as ended:
            pass
        left, alive = (tmp_path / f"claude-settings-{pid}.json" for pid in (ended.pid, os.getppid()))
        left.write_text("{}")
        alive.write_text("{}")
        with overlay(made(), {}, [], folder=tmp_path):
            assert not left.exists()
            assert alive.exists()

    def test_names_that_no_session_gives_are_left_alone(self, tmp_path: Path) -> None:
        names = ["9" * 30, "2147483648", "4294967295", "²", "٣", "-1", "0", "", "1 "]
        others = [tmp_path / f"claude-settings-{name}.json" for name in names]
        for path in others:
            path.write_text("{}")
        (folder := tmp_path / f"claude-settings-{2**31 - 1}.json").mkdir()
        assert left_behind(tmp_path) == []
        with overlay(made(), {}, [], folder=tmp_path):
            assert all(path.exists() for path in (*others, folder))

    @pytest.mark.parametrize("key", ["permissions", "env"])
    @pytest.mark.parametrize("value", [5, None, "Bash", ["Bash"]])
    def test_settings_that_cannot_be_merged_are_an_error(self, tmp_path: Path, key: str, value: Any) -> None:
        with (
            pytest.raises(CommandFailed, match=f"{key} must be a JSON object"),
            overlay(made(), {key: value}, [], folder=tmp_path),
        ):
            pass

    @pytest.mark.parametrize(
        ("arguments", "backend", "off"),
        [
            ([], "mlx", True),
            ([], "openai", True),
            ([], "claude", False),
            (["--permission-mode", "plan"], "mlx", True),
            (["--permission-mode=acceptEdits"], "mlx", True),
            (["--permission-mode", "auto"], "mlx", False),
            (["-p", "hi", "--permission-mode=auto"], "mlx", False),
            (["--permission-mode", "auto", "--permission-mode", "plan"], "mlx", True),
            (["-p", "--", "--permission-mode", "auto"], "mlx", True),
        ],
    )
    def test_auto_mode_is_off_unless_it_is_asked_for_or_answered(
        self, tmp_path: Path, arguments: list[str], backend: str, off: bool
    ) -> None:
        with overlay(made(backend=backend), {}, arguments, folder=tmp_path) as full_arguments:
            settings = json.loads(Path(full_arguments[1]).read_text())
        assert settings.get("permissions") == ({"disableAutoMode": "disable"} if off else None)
        assert settings.get("skipWebFetchPreflight", False) is (backend != "claude")
        assert full_arguments[2:] == arguments


def test_auto_mode_stays_where_the_host_checks_calls(tmp_path: Path) -> None:
    answered = replace(made(backend="mlx"), checks_calls=True)
    with overlay(answered, {}, [], folder=tmp_path) as full_arguments:
        assert "permissions" not in json.loads(Path(full_arguments[1]).read_text())


WORDS = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=12)


class TestAsText:
    @settings(max_examples=15)
    @given(value=WORDS)
    def test_a_shell_takes_it_as_it_is_meant(self, value: str) -> None:
        environment = ClaudeEnvironment({"ANTHROPIC_AUTH_TOKEN": value}, ("GONE",))
        script = as_text(environment, as_json=False, fish=False) + f'exec "{sys.executable}" -c "$SHOW"'
        show = "import os; print(ascii([os.environ.get('GONE'), os.environ['ANTHROPIC_AUTH_TOKEN']]))"
        environ = {**os.environ, "GONE": "1", "SHOW": show, "PYTHONUTF8": "1"}
        said = subprocess.run(["sh", "-c", script], env=environ, capture_output=True, text=True, check=True)
        assert said.stdout == f"{[None, value]!a}\n"

    def test_json_has_null_for_variables_to_unset(self) -> None:
        environment = ClaudeEnvironment({"A": "1"}, ("B",))
        assert json.loads(as_text(environment, as_json=True, fish=False)) == {"A": "1", "B": None}

    def test_fish_has_its_own_syntax(self) -> None:
        environment = ClaudeEnvironment({"A": "it's \\ $HOME"}, ("B",))
        text = as_text(environment, as_json=False, fish=True)
        assert text == "set -e B\nset -gx A 'it\\'s \\\\ $HOME'\n"
        if fish := shutil.which("fish"):
            said = subprocess.run([fish, "-c", text + "echo $A"], capture_output=True, text=True, check=True)
            assert said.stdout == "it's \\ $HOME\n"
