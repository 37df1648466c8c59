from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tui.commands import auto_mode
from tui.commands.exit_codes import CommandFailed
from tui.commands.user_settings import UserSettings, read_user_settings


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "repo" / "part"
    folder.mkdir(parents=True)
    (tmp_path / "repo" / ".git").mkdir()
    return folder


def written(path: Path, **settings: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings))
    return path


def settings_read(project: Path, *arguments: str, **environ: str) -> UserSettings:
    home = project.parent.parent / "home"
    return read_user_settings(arguments, environ=environ, cwd=project, user_home=home)


class TestGiven:
    def test_json_and_files_are_read_and_taken_out_of_the_arguments(self, project: Path) -> None:
        file = written(project / "mine.json", model="m")
        assert settings_read(project, "-p", "--settings", str(file)).given == {"model": "m"}
        read = settings_read(project, "-p", '--settings={"a": 1}', "hi")
        assert (read.given, read.arguments) == ({"a": 1}, ("-p", "hi"))

    def test_the_last_one_counts(self, project: Path) -> None:
        assert settings_read(project, "--settings", "gone.json", "--settings", '{"a": 1}').given == {"a": 1}

    def test_rules_for_files_stay_with_the_files_folder(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(project)
        written(project / "conf" / "s.json", permissions={"deny": ["Read(/x)"]})
        rules = settings_read(project, "--settings", "conf/s.json").given["permissions"]["deny"]
        assert rules == [f"Read(/{Path.cwd()}/conf/x)"]

    @pytest.mark.parametrize(
        ("given", "says"),
        [("gone.json", "cannot be read"), ("{", "is not JSON"), ("list.json", "no JSON object")],
    )
    def test_unreadable_settings_are_an_error(
        self, project: Path, given: str, says: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(project)
        Path("list.json").write_text("[]")
        with pytest.raises(CommandFailed, match=says):
            settings_read(project, "--settings", given)


class TestFiles:
    def test_the_strongest_comes_first(self, project: Path) -> None:
        home = project.parent.parent / "home"
        written(home / ".claude" / "settings.json", name="user")
        written(project / ".claude" / "settings.json", name="project")
        written(project.parent / ".claude" / "settings.local.json", name="local")
        read = settings_read(project, '--settings={"name": "given"}')
        assert [layer["name"] for layer in read.layers] == ["given", "local", "project", "user"]

    def test_only_the_sources_that_were_named_count(self, project: Path) -> None:
        home = project.parent.parent / "home"
        written(home / ".claude" / "settings.json", name="user")
        written(project / ".claude" / "settings.json", name="project")
        assert settings_read(project, "--setting-sources", "user, local").files == ({"name": "user"},)
        assert settings_read(project, "--setting-sources=").files == ()

    def test_the_users_folder_can_be_elsewhere(self, project: Path, tmp_path: Path) -> None:
        written(tmp_path / "other" / "settings.json", name="user")
        read = settings_read(project, CLAUDE_CONFIG_DIR=str(tmp_path / "other"))
        assert read.files == ({"name": "user"},)

    @pytest.mark.parametrize("text", ["", "{", "[]", "\ud800", "[" * 100_000])
    def test_an_unreadable_file_is_left_to_the_client(self, project: Path, text: str) -> None:
        path = written(project / ".claude" / "settings.json")
        path.write_text(text, errors="surrogatepass")
        assert settings_read(project).files == ()

    @pytest.mark.parametrize("device", ["pipe", "/dev/zero", "/dev/tty"])
    def test_a_pipe_or_device_in_its_place_does_not_block_the_session(
        self, project: Path, device: str
    ) -> None:
        path = project / ".claude" / "settings.json"
        path.parent.mkdir()
        if device == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to(device)
        assert settings_read(project).files == ()

    def test_a_huge_one_is_passed_over(self, project: Path) -> None:
        path = written(project / ".claude" / "settings.json")
        with path.open("r+b") as file:
            file.truncate(1 << 34)
        assert settings_read(project).files == ()


AUTO: dict[str, Any] = {"permissions": {"defaultMode": "auto"}}
PLAN: dict[str, Any] = {"permissions": {"defaultMode": "plan"}}


class TestAutoMode:
    def test_a_request_for_auto_mode_gets_a_notice(self) -> None:
        assert "edits your project without a question" in auto_mode.notice(["--permission-mode", "auto"], [])
        assert auto_mode.notice(["-p", "hi"], [{}]) == ""

    def test_a_default_of_auto_mode_is_overridden_with_a_notice(self) -> None:
        assert "begins in manual mode" in auto_mode.notice([], [{}, AUTO])

    @pytest.mark.parametrize(
        "layers", [[PLAN, AUTO], [{"permissions": {"defaultMode": 5}}], [{"permissions": 5}]]
    )
    def test_other_settings_are_passed_over(self, layers: list[dict[str, Any]]) -> None:
        assert auto_mode.notice([], layers) == ""

    def test_a_mode_among_the_arguments_wins_over_the_settings(self) -> None:
        assert auto_mode.notice(["--permission-mode=plan"], [AUTO]) == ""
