"""The table of variables is what sessions get, what the docs show, and what yields to the user."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tui.commands.claude_environment import (
    OTHER_ACCOUNT,
    OTHER_PROVIDERS,
    ClaudeEnvironment,
    claude_environment,
)
from tui.commands.claude_variables import DIET, FIXED, VARYING, Variable, diet_table, table
from tui.commands.claude_window import SET_HERE, own_values
from tui.commands.managed_settings import precedence_notices, read_managed
from tui.commands.resume_hint import resume_hint
from tui.commands.user_settings import UserSettings

DOCS = Path(__file__).parents[3] / "docs" / "running.md"
BESIDE = {SET_HERE, "no_proxy"}
YIELDING = [variable for variable in (*FIXED, *DIET) if variable.yields]
PUT = [variable for variable in (*FIXED, *VARYING) if not variable.yields]


def made(
    env: dict[str, Any] | None = None, environ: dict[str, str] | None = None, **given: Any
) -> ClaudeEnvironment:
    """The environment of a user whose settings have this `env`."""
    theirs = UserSettings({}, ({"env": env or {}},), ())
    fields = {"token": "", "backend": "mlx", "model": "org/Model", "environ": environ or {}} | given
    return claude_environment("http://127.0.0.1:1", own=own_values(theirs, environ or {}), **fields)


def test_the_docs_have_the_tables_of_today() -> None:
    """After a change: python -m tui.commands.claude_variables."""
    docs = DOCS.read_text("utf-8")
    assert table() in docs
    assert diet_table() in docs


def test_sessions_get_the_variables_of_the_table_and_no_others() -> None:
    named = {variable.name for variable in (*VARYING, *FIXED, *DIET)}
    small, large = (made(context_tokens=tokens, diet=True).variables for tokens in (40_000, 200_000))
    assert small.keys() | large.keys() == named | BESIDE
    assert not {variable.name for variable in DIET} & made(context_tokens=40_000).variables.keys()
    assert all(small[variable.name] == variable.value for variable in (*FIXED, *DIET))
    passing = {variable.name for variable in (*VARYING, *FIXED) if variable.is_passed_through}
    assert made(backend="claude", diet=True).variables.keys() == passing | {"no_proxy"}


@pytest.mark.parametrize("variable", YIELDING, ids=lambda variable: variable.name)
def test_a_preference_yields_to_the_users_own_value(variable: Variable) -> None:
    for own in (made({variable.name: "mine"}, diet=True), made(environ={variable.name: "mine"}, diet=True)):
        assert variable.name not in own.variables
        assert variable.name not in own.settings()["env"]


@pytest.mark.parametrize("variable", PUT, ids=lambda variable: variable.name)
def test_what_leads_to_the_host_does_not_yield(variable: Variable) -> None:
    own = made({variable.name: "mine"}, {variable.name: "mine"}, context_tokens=40_000)
    assert own.settings()["env"][variable.name] != "mine"


def test_a_diet_of_an_earlier_session_is_not_the_users_own() -> None:
    before = dict(made(diet=True).variables)
    assert not {variable.name for variable in DIET} & made(environ=before).applied_to(before).keys()


def test_managed_settings_that_win_are_named_without_their_values(tmp_path: Path) -> None:
    file = tmp_path / "managed-settings.json"
    file.write_text('{"env": {"ANTHROPIC_BASE_URL": "https://secret.example", "API_FORCE_IDLE_TIMEOUT": 0}}')
    folder = tmp_path / "managed-settings.d"
    folder.mkdir()
    (folder / "a.json").write_text('{"env": {"ENABLE_TOOL_SEARCH": "false", "OTHER": "1"}}')
    (folder / "b.json").write_text("{")
    (folder / "c.json").write_text('{"env": []}')
    files = read_managed([file, folder, tmp_path / "absent.json"])
    assert precedence_notices(made(), files) == [
        f"{file} sets ANTHROPIC_BASE_URL, and Claude Code takes that value: requests may go elsewhere",
        f"{folder / 'a.json'} sets ENABLE_TOOL_SEARCH, and Claude Code takes that value: the session may"
        " differ",
    ]


def test_another_provider_of_managed_settings_is_named(tmp_path: Path) -> None:
    file = tmp_path / "managed-settings.json"
    for name in (*OTHER_PROVIDERS, *OTHER_ACCOUNT):
        [notice] = precedence_notices(made(), [(file, {"env": {name: "1"}})])
        assert f"sets {name}, " in notice


class TestResumeHint:
    COMMAND = "anyclaude-tui claude"

    def hint(self, home: Path, since: float = 100.0, **environ: str) -> str:
        cwd = Path("/work/my_project")
        return resume_hint(self.COMMAND, environ=environ, cwd=cwd, user_home=home, since=since)

    def session(self, config: Path, name: str, at: float, folder: str = "-work-my-project") -> None:
        path = config / "projects" / folder / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (at, at))

    def test_it_names_the_session_that_was_written_last(self, tmp_path: Path) -> None:
        for name, at in (("old", 50), ("new", 150), ("other", 120)):
            self.session(tmp_path / ".claude", name, at)
        self.session(tmp_path / ".claude", "elsewhere", 200, folder="-work-other")
        assert self.hint(tmp_path) == "to resume this session here: anyclaude-tui claude --resume new"

    def test_there_is_none_where_nothing_was_written(self, tmp_path: Path) -> None:
        self.session(tmp_path / ".claude", "old", 50)
        assert self.hint(tmp_path) == self.hint(tmp_path / "absent") == ""

    def test_the_users_own_folder_is_known(self, tmp_path: Path) -> None:
        self.session(tmp_path / "mine", "new", 150)
        assert self.hint(tmp_path, CLAUDE_CONFIG_DIR=str(tmp_path / "mine")).endswith("--resume new")
