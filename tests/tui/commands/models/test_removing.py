"""`models rm` removes what it shows, after a yes, and nothing else."""

from __future__ import annotations

import fcntl
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.model_folders import write_folder
from tests.tui.commands.models.homes import Home
from tests.tui.scripted_host import ScriptedHost, scripted_host
from tui.commands.exit_codes import CommandFailed
from tui.commands.models.removing import run_models_rm


def left(home: Home) -> set[str]:
    return {str(path.relative_to(home.root)) for path in home.root.rglob("*") if path.is_file()}


def yes() -> bool:
    return True


def no() -> bool:
    return False


def test_it_shows_what_would_go_and_asks(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    whole = home.hub_model("acme/a")
    home.hub_model("acme/b")
    before = left(home)
    assert run_models_rm(home.invocation(), "acme/a", yes=False, as_json=False, ask=no) == 1
    shown = capsys.readouterr()
    assert "acme/a: 5 files, " in shown.out
    assert str(whole) in shown.out
    assert "nothing was removed" in shown.err
    assert left(home) == before
    assert run_models_rm(home.invocation(), "acme/a", yes=False, as_json=False, ask=yes) == 0
    assert before - left(home) == {path for path in before if "models--acme--a" in path}
    assert not whole.exists()


def test_without_a_terminal_it_needs_yes(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_folder(home.lm_studio / "acme" / "m")
    assert run_models_rm(home.invocation(), "acme/m", yes=False, as_json=True) == 1
    assert json.loads(capsys.readouterr().out)["removed"] is False
    assert folder.is_dir()
    assert run_models_rm(home.invocation(), "acme/m", yes=True, as_json=True) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["removed"], len(document["files"])) == (True, 4)
    assert not folder.exists()


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("no\n", 1), ("", 1)])
def test_on_a_terminal_the_answer_counts(
    home: Home, answer: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    folder = write_folder(home.lm_studio / "acme" / "m")
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    monkeypatch.setattr("sys.stderr", asked := Terminal())
    assert run_models_rm(home.invocation(), "acme/m", yes=False, as_json=False) == code
    assert "Remove it? [y/N]" in asked.getvalue()
    assert folder.exists() == bool(code)


def test_without_a_question_a_part_of_a_name_removes_nothing(home: Home) -> None:
    folder = write_folder(home.lm_studio / "acme" / "m-4bit-DWQ")
    for part in ("acme/m-4bit", "~nobody-of-this-name/m-4bit"):
        with pytest.raises(CommandFailed, match="no model "):
            run_models_rm(home.invocation(), part, yes=True, as_json=False)
    assert run_models_rm(home.invocation(), "acme/m-4bit", yes=False, as_json=False, ask=no) == 1
    assert folder.is_dir()


def test_an_empty_name_is_not_the_working_directory(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(home.lm_studio / "acme" / "m")
    monkeypatch.chdir(folder)
    with pytest.raises(CommandFailed, match="is empty"):
        run_models_rm(home.invocation(), "", yes=True, as_json=False)
    assert folder.is_dir()


def test_broken_and_foreign_models_can_be_removed(home: Home) -> None:
    folder = home.gguf("acme/m")
    begun = home.hub / "models--acme--begun"
    (begun / "blobs").mkdir(parents=True)
    for name in ("acme/m", "acme/begun"):
        assert run_models_rm(home.invocation(), name, yes=True, as_json=False) == 0
    assert not folder.exists()
    assert not begun.exists()


def test_a_model_that_is_being_downloaded_stays(home: Home) -> None:
    partial = home.hub_model("acme/m") / "blobs" / "0.incomplete"
    with partial.open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)  # as `models pull` does
        with pytest.raises(CommandFailed, match="is being downloaded"):
            run_models_rm(home.invocation(), "acme/m", yes=True, as_json=False)
        assert partial.is_file()
    assert run_models_rm(home.invocation(), "acme/m", yes=True, as_json=False) == 0


def test_what_links_lead_to_elsewhere_stays(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    real = write_folder(home.root / "elsewhere" / "real")
    link = home.lm_studio / "acme" / "link"
    link.parent.mkdir(parents=True)
    link.symlink_to(real)
    assert run_models_rm(home.invocation(), "acme/link", yes=True, as_json=False) == 0
    assert "(stays)" in capsys.readouterr().out
    assert not link.is_symlink()
    assert (real / "model.safetensors").is_file()
    outside = home.root / "precious"
    outside.write_text("x")
    folder = write_folder(home.lm_studio / "acme" / "m")
    (folder / "extra.safetensors").symlink_to(outside)
    assert run_models_rm(home.invocation(), "acme/m", yes=True, as_json=True) == 0
    assert str(outside) not in capsys.readouterr().out
    assert outside.is_file()


def bundled(home: Home) -> str:
    return "bundled demo model"


def ollama(home: Home) -> str:
    home.ollama("qwen3", "8b")
    return "qwen3:8b"


def elsewhere(home: Home) -> str:
    return str(write_folder(home.root / "elsewhere" / "m"))


def whole_store(home: Home) -> str:
    folder = write_folder(home.root / "one")
    (home.root / ".anyclauderc.json").write_text(json.dumps({"modelFolders": [str(folder)]}))
    return "one"


def publisher_that_leads_out(home: Home) -> str:
    real = write_folder(home.root / "elsewhere" / "publisher" / "m")
    home.lm_studio.mkdir(parents=True)
    (home.lm_studio / "acme").symlink_to(real.parent)
    return "acme/m"


CASES: dict[str, tuple[Callable[[Home], str], str]] = {
    "bundled": (bundled, "is a part of anyclaude-tui"),
    "Ollama's": (ollama, "use: ollama rm qwen3:8b"),
    "in no store": (elsewhere, "nothing outside of them is removed"),
    "a whole store": (whole_store, "is a whole store"),
    "out of its store": (publisher_that_leads_out, "leads out of its store"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_not_ours_to_remove_stays(home: Home, case: str) -> None:
    arrange, says = CASES[case]
    name = arrange(home)
    before = left(home)
    with pytest.raises(CommandFailed, match=says):
        run_models_rm(home.invocation(), name, yes=True, as_json=False, ask=yes)
    assert left(home) == before


@pytest.mark.parametrize("by_path", [True, False])
def test_a_model_that_a_host_runs_stays(home: Home, by_path: bool) -> None:
    whole = home.hub_model("acme/m")
    with scripted_host() as host:
        host.model = str(whole / "snapshots" / ("a" * 40)) if by_path else "acme/m"
        assert f"the host on {host.url} uses acme/m; stop it first" in refused(home, host)
        host.model = "acme/other"
        assert run_models_rm(home.invocation(port=port(host)), "acme/m", yes=True, as_json=False) == 0


@pytest.mark.parametrize("used", ["model", "draft"])
def test_a_folder_stays_whose_last_name_alone_the_engine_reports(home: Home, used: str) -> None:
    folder = write_folder(home.lm_studio / "acme" / "m")
    with scripted_host() as host:
        host.model = "m" if used == "model" else "large"
        host.loads = [str(folder)] if used == "model" else ["acme/large", str(folder)]
        assert "uses acme/m; stop it first" in refused(home, host)


def test_the_draft_model_of_a_host_stays(home: Home) -> None:
    home.hub_model("acme/m")
    home.environ["ANYCLAUDE_DRAFT_MODEL"] = "acme/m"
    with scripted_host() as host:
        assert "as its draft model" in refused(home, host)


def test_hosts_on_other_ports_are_found_by_their_processes(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.hub_model("acme/m")
    with scripted_host() as host:  # in this process
        host.model = "acme/m"
        processes = [(os.getpid(), ["python", "-m", "proxy"]), (0, ["python", "-m", "proxy"])]
        monkeypatch.setattr("tui.commands.models.running.own_processes", lambda: processes)
        with pytest.raises(CommandFailed, match="stop it first"):
            run_models_rm(home.invocation(), "acme/m", yes=True, as_json=False)
        host.backend = "openai"  # the model is another server's
        assert run_models_rm(home.invocation(), "acme/m", yes=True, as_json=False) == 0


def test_a_host_that_hangs_keeps_all(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.hub_model("acme/m")
    before = left(home)
    with scripted_host():
        processes = [(os.getpid(), ["python", "-m", "proxy"])]
        monkeypatch.setattr("tui.commands.models.running.own_processes", lambda: processes)
        monkeypatch.setattr("tui.commands.models.running.is_host", lambda url: False)
        with pytest.raises(CommandFailed, match="does not say which model it has"):
            run_models_rm(home.invocation(), "acme/m", yes=True, as_json=False)
    assert left(home) == before


def test_a_host_that_does_not_say_keeps_all(home: Home) -> None:
    home.hub_model("acme/m")
    with scripted_host(token="secret") as host:
        assert "does not say which model it has" in refused(home, host)


def test_the_configured_model_is_removed_with_a_note(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.hub_model("acme/m")
    assert run_models_rm(home.invocation(model="acme/m"), "acme/m", yes=True, as_json=False) == 0
    assert "the configuration names this model" in capsys.readouterr().err


def port(host: ScriptedHost) -> int:
    return int(host.url.rpartition(":")[2])


def refused(home: Home, host: ScriptedHost) -> str:
    before = left(home)
    with pytest.raises(CommandFailed) as failed:
        run_models_rm(home.invocation(port=port(host)), "acme/m", yes=True, as_json=False)
    assert left(home) == before
    return failed.value.message


def test_a_file_that_cannot_be_removed_is_named(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(home.lm_studio / "acme" / "m")

    def denied(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("shutil.rmtree", denied)
    with pytest.raises(CommandFailed, match=r"Permission denied; 4 files of .* are left"):
        run_models_rm(home.invocation(), "acme/m", yes=True, as_json=False)
