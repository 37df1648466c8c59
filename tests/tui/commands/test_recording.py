from __future__ import annotations

import json
from pathlib import Path

import pytest

from proxy.recordings.reading import read_recording
from tests.tui.client.recording.recorded_host import demo_host
from tests.tui.demo.plot import demo
from tests.tui.scripted_host import scripted_host
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation
from tui.commands.recording import run_bundle, run_record


def invocation(home: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Invocation:
    monkeypatch.chdir(home)
    monkeypatch.setenv("HOME", str(home))
    return Invocation({"home": str(home / "state")}, url, environ={})


def recorded(invocation: Invocation, file: str, *, as_json: bool = False) -> int:
    return run_record(
        invocation, file, minutes=0.0, only_new=False, contents="redacted", traces=(), as_json=as_json
    )


def test_record_writes_a_file_that_can_be_played_and_prints_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with demo_host(demo(), tmp_path) as host:
        asked = invocation(tmp_path, host.url, monkeypatch)
        assert recorded(asked, "") == ExitCode.FINE
        shown = capsys.readouterr()
        path = Path(shown.out.strip())
        assert path.parent == tmp_path / "state" / "recordings"
        assert f"--play {path}" in shown.err
        assert len(read_recording(path).traces) == 2
        assert recorded(asked, str(tmp_path / "two"), as_json=True) == ExitCode.FINE
        told = json.loads(capsys.readouterr().out)
        assert (told["events"], told["ended"]) == (len(demo().events()), "ended as its time was over")
        with pytest.raises(CommandFailed, match="it is kept: name another"):
            recorded(asked, str(tmp_path / "two"))


def test_record_without_a_host_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_host() as host:
        pass
    with pytest.raises(CommandFailed, match="nothing was recorded") as failed:
        recorded(invocation(tmp_path, host.url, monkeypatch), str(tmp_path / "one"))
    assert failed.value.exit_code == ExitCode.FAILED
    assert not (tmp_path / "one").exists()


def test_bundle_prints_its_path_and_what_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with demo_host(demo(), tmp_path) as host:
        asked = invocation(tmp_path, host.url, monkeypatch)
        code = run_bundle(asked, "", minutes=1e6, contents="redacted", traces=(), as_json=True)
        told = json.loads(capsys.readouterr().out)
        assert code == ExitCode.FINE
        assert Path(told["file"]).parent == tmp_path / "state" / "bundles"
        assert "recording.jsonl.gz" in told["parts"]
        assert read_recording(Path(told["file"])).traces
    run_bundle(asked, str(tmp_path / "b.zip"), minutes=15, contents="none", traces=(), as_json=False)
    shown = capsys.readouterr()
    assert shown.out == f"{tmp_path / 'b.zip'}\n"
    assert "it is on this machine alone" in shown.err
