from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proxy.recordings.format import MOST_BYTES
from tests.tui.demo.plot import demo
from tui.cli import app
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation
from tui.commands.playing import DEMO, DEMO_FILE, recording_of, run_play


def test_the_bundled_demo_is_whole_small_and_of_today() -> None:
    """`make demo` writes it anew after a change of the story."""
    recording = recording_of(DEMO)
    assert DEMO_FILE.stat().st_size < 100_000 < MOST_BYTES
    assert (recording.damaged, recording.cut_off) == (0, False)
    assert len(recording.moments) == 1 + len(demo().events())
    assert recording.traces.keys() == {trace.id for trace in demo().traces()}
    assert recording.header.about == "demo"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, r"one: No such file or directory; --play demo plays the bundled one"),
        (b"hello", "is no recording"),
        (gzip.compress(b'{"anyclaude_recording": 99}\n'), "update anyclaude-tui"),
    ],
    ids=("missing", "other", "newer"),  # a packed content has its time in it
)
def test_what_cannot_be_played_is_said_before_the_screen_opens(
    content: bytes | None, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "one"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CommandFailed, match=says) as failed:
        recording_of(str(path))
    assert failed.value.exit_code == ExitCode.USAGE


def test_without_a_terminal_it_says_what_to_do() -> None:
    with pytest.raises(CommandFailed, match="the screen needs a terminal"):
        run_play(Invocation(environ={"TERM": "xterm"}), DEMO)


@pytest.mark.parametrize("other", [["--no-ui"], ["--detach"], ["--attach", "127.0.0.1:1"], ["status"]])
def test_it_stands_alone(other: list[str]) -> None:
    result = CliRunner().invoke(app, ["--play", "demo", *other])
    assert isinstance(result.exception, CommandFailed)
    assert "without a host" in result.exception.message
