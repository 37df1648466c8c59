"""`anyclaude-tui config show`, `check` and `schema`; `trust` has a module of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.configuration.reference import json_schema
from proxy.configuration.settings import SETTINGS
from proxy.configuration.settled import ConfigError
from tests.proxy.configuration.test_files import Place, write
from tests.proxy.configuration.test_files import place as place
from tests.tui.test_cli import run
from tui.commands.config_check import run_config_check
from tui.commands.config_show import run_config_show
from tui.commands.exit_codes import CommandFailed
from tui.commands.invocation import Invocation
from tui.commands.screen import run_config_keys
from tui.screen.keymap import take_keys

NAME = ".anyclauderc.json"


@pytest.fixture(autouse=True)
def inside(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.repository)
    monkeypatch.setenv("HOME", str(place.home))


def shown(capsys: pytest.CaptureFixture[str], environ: dict[str, str], **options: Any) -> dict[str, Any]:
    """The records of `show --json`, by the names of the settings."""
    capsys.readouterr()
    assert run_config_show(Invocation(options, environ=environ), as_json=True) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {record["name"]: record for record in records}


class TestShow:
    def test_every_setting_has_its_value_and_where_it_comes_from(
        self, place: Place, capsys: pytest.CaptureFixture[str]
    ) -> None:
        own = place.own({"backends": {"mlx": {"maxBatch": 2}}})
        folders = place.shipped({"port": 6666, "backends": {"mlx": {"draftTokens": 5}}})
        records = shown(capsys, {"ANYCLAUDE_STALL_AFTER_S": "7.5"}, engine_port=9)
        assert set(records) == set(SETTINGS)
        told = {
            name: (records[name]["value"], records[name]["origin"], records[name]["source"])
            for name in ("engine_port", "stall_after_s", "draft_tokens", "max_batch", "port", "kv_bits")
        }
        assert told == {
            "engine_port": (9, "command_line", "--engine-port"),
            "stall_after_s": (7.5, "environment", "ANYCLAUDE_STALL_AFTER_S"),
            "draft_tokens": (5, "folder_file", f"{folders.resolve()}: backends.mlx.draftTokens"),
            "max_batch": (2, "own_file", f"{own}: backends.mlx.maxBatch"),
            "port": (8082, "default", "default"),
            "kv_bits": (None, "default", "default"),
        }
        assert records["draft_tokens"]["standing"] == "not trusted"

    def test_no_key_token_or_password_is_shown(
        self, place: Place, capsys: pytest.CaptureFixture[str]
    ) -> None:
        section = {"apiKey": "hunter2", "baseUrl": "http://me:hunter2@127.0.0.1:9/v1"}
        search = {
            "searchEngine": "tavily",
            "searchKey": "hunter2",
            "searchUrl": "http://me:hunter2@127.0.0.1:8",
        }
        place.own({"token": "hunter2", "backend": "openai", "backends": {"openai": section}, **search})
        records = shown(capsys, {})
        assert all(records[name]["set"] for name in ("token", "backend_key", "search_key"))
        assert records["backend_url"]["value"] == "http://***@127.0.0.1:9/v1"
        assert "hunter2" not in json.dumps(records)
        assert run_config_show(Invocation({}, environ={}), as_json=False) == 0
        said = capsys.readouterr()
        assert "hunter2" not in said.out + said.err
        assert "(hidden, 7 characters)" in said.out

    def test_a_line_has_key_value_and_place_and_a_default_says_what_it_is(
        self, place: Place, capsys: pytest.CaptureFixture[str]
    ) -> None:
        own = place.own({"backend": "lmstudio", "backends": {"lmstudio": {"model": "m", "maxQueue": 3}}})
        run_config_show(Invocation({}, environ={}), as_json=False)
        lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
        assert lines["backends.lmstudio.model"].split()[1:] == ['"m"', f"{own}:", "backends.lmstudio.model"]
        assert lines["backends.lmstudio.maxQueue"].split()[1] == "3"
        assert "as the model computes them" in lines["backends.lmstudio.kvBits"]
        assert lines["port"].split() == ["port", "8082", "default"]

    def test_options_count_before_and_after_the_command(self, place: Place) -> None:
        ended = run(place.repository, "--engine-port", "5", "config", "show", "--port", "4", "--json")
        assert ended.returncode == 0
        records = [json.loads(line) for line in ended.stdout.splitlines()]
        assert {each["name"]: each["value"] for each in records if each["origin"] == "command_line"} == {
            "port": 4,
            "engine_port": 5,
        }


class TestCheck:
    def test_all_that_is_wrong_is_told_in_lines_with_exit_code_2(self, place: Place) -> None:
        content = {"prot": 1, "port": "x", "backends": {"mlx": {"maxBatch": 0}, "ollama": {"baseUrl": "y"}}}
        path = place.shipped(content)
        ended = run(place.repository, "config", "check", NAME)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.splitlines() == [
            f'warning: {path}: prot is not known and was ignored; did you mean "port"?',
            f'anyclaude-tui: {path}: port is "x"; allowed: a whole number from 0 to 65535 (0: any free port)',
            f"anyclaude-tui: {path}: backends.mlx.maxBatch is 0; allowed: a whole number from 1 to 256",
            f'anyclaude-tui: {path}: backends.ollama.baseUrl is "y"; allowed: a web address such as '
            "http://127.0.0.1:1234/v1",
        ]

    def test_what_is_right_is_said_to_be(self, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
        place.shipped({"backends": {"mlx": {"prefillChunk": 96}}})
        assert run_config_check(Invocation({}, environ={}), str(place.repository)) == 0
        assert f"{place.repository / NAME}: nothing is wrong" in capsys.readouterr().err

    def test_a_warning_is_not_followed_by_nothing_is_wrong(
        self, place: Place, capsys: pytest.CaptureFixture[str]
    ) -> None:
        place.shipped({"prot": 1})
        assert run_config_check(Invocation({}, environ={}), str(place.repository)) == 0
        warned, verdict = capsys.readouterr().err.splitlines()
        assert 'did you mean "port"?' in warned
        assert verdict.endswith(": nothing else is wrong")

    def test_without_a_file_those_that_count_here_are_checked_and_all_mistakes_told(
        self, place: Place
    ) -> None:
        place.own({"port": -1})
        place.shipped("{")
        with pytest.raises(ConfigError) as caught:
            run_config_check(Invocation({}, environ={}), "")
        assert [str(place.home) in problem for problem in caught.value.problems] == [True, False]
        assert "line 1, column 2" in caught.value.problems[1]

    def test_without_a_file_what_a_start_would_refuse_is_found(
        self, place: Place, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = place.own({"prot": 1, "port": 9, "enginePort": 9, "host": "0.0.0.0"})
        with pytest.raises(ConfigError) as caught:
            run_config_check(Invocation({}, environ={}), "")
        assert [
            "port 9 is meant for both" in caught.value.problems[0],
            "other machines can reach" in caught.value.problems[1],
        ] == [True, True]
        said = capsys.readouterr().err.splitlines()
        assert said == [f'warning: {path}: prot is not known and was ignored; did you mean "port"?']
        assert run_config_check(Invocation({}, environ={}), str(path)) == 0  # each value by itself is right
        assert run_config_check(Invocation({"engine_port": 8, "host": "::1"}, environ={}), "") == 0

    def test_a_relative_path_in_the_variable_is_refused_as_at_a_start(self, place: Place) -> None:
        place.shipped({})
        with pytest.raises(ConfigError, match="another place in each folder"):
            run_config_check(Invocation({}, environ={"ANYCLAUDE_CONFIG": NAME}), "")

    @pytest.mark.parametrize("by", ["option", "variable"])
    def test_a_file_that_was_named_for_all_is_the_one(self, place: Place, by: str) -> None:
        path = str(write(place.home / "named.json", {"port": -1}))
        invocation = {
            "option": Invocation({"config": path}, environ={}),
            "variable": Invocation({}, environ={"ANYCLAUDE_CONFIG": path}),
        }[by]
        with pytest.raises(ConfigError, match=r"named\.json: port is -1"):
            run_config_check(invocation, "")

    def test_a_file_that_was_named_has_to_be_there(self, place: Place) -> None:
        with pytest.raises(CommandFailed, match=r"gone\.json is not there") as caught:
            run_config_check(Invocation({}, environ={}), "gone.json")
        assert caught.value.exit_code == 2

    def test_without_any_file_a_host_could_start_unless_an_option_is_wrong(
        self, place: Place, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run_config_check(Invocation({}, environ={}), "") == 0
        assert f"there is no {NAME} here or in your home folder" in capsys.readouterr().err
        with pytest.raises(ConfigError, match="other machines can reach"):
            run_config_check(Invocation({}, environ={"ANYCLAUDE_HOST": "0.0.0.0"}), "")


def test_the_schema_is_data(tmp_path: Path) -> None:
    ended = run(tmp_path, "config", "schema")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout) == json_schema()


class TestKeys:
    def test_each_command_of_the_screen_is_listed_with_its_keys(
        self, place: Place, capsys: pytest.CaptureFixture[str]
    ) -> None:
        place.own({"keys": {"main.why": "f2,ctrl+w"}})
        assert run_config_keys(Invocation({}, environ={}), as_json=True) == 0
        records = {row["name"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
        assert records["main.why"] == {
            "name": "main.why",
            "keys": "f2 ^w",
            "title": "Why was this request slow, or failed?",
            "yours": True,
        }
        assert (records["trace.why"]["keys"], records["trace.why"]["yours"]) == ("w", False)
        assert run_config_keys(Invocation({}, environ={}), as_json=False) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[:3] for line in lines if "(yours)" in line] == [["main.why", "f2", "^w"]]
        take_keys({})

    def test_wrong_ones_are_told_by_the_list_and_by_the_check(self, place: Place) -> None:
        place.own({"keys": {"whi": "f2"}, "theme": "nigt"})
        with pytest.raises(ConfigError, match=r"keys\.whi: there is no such action"):
            run_config_keys(Invocation({}, environ={}), as_json=False)
        with pytest.raises(ConfigError) as raised:
            run_config_check(Invocation({}, environ={}), "")
        assert [problem.partition(":")[0] for problem in raised.value.problems] == ["theme", "keys.whi"]
