"""`anyclaude-tui --play FILE`: the control center on a recording, without any host."""

from __future__ import annotations

from pathlib import Path

from proxy.configuration.file import expand_home
from proxy.recordings.format import Recording, RecordingError
from proxy.recordings.reading import read_recording
from tui.client.figures import size
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.screen import hold_garbage_collection, no_screen, show_recording

DEMO = "demo"
DEMO_FILE = Path(__file__).parents[1] / "demo" / "demo.jsonl.gz"

SAID_BYTES = 4 << 20  # takes half a second and more


def run_play(invocation: Invocation, wanted: str) -> int:
    """Show a recording until the user quits; returns the exit code. Nothing is started and nothing asked.

    Raises:
        proxy.configuration.settled.ConfigError: the configuration is wrong.
        CommandFailed: there is no terminal, or no recording that can be played.
    """
    if why := no_screen(invocation.environ):
        raise CommandFailed(ExitCode.USAGE, f"{why}; zcat FILE | jq shows a recording without one")
    hold_garbage_collection()
    recording = recording_of(wanted)
    return show_recording(recording, invocation.settle().config.home)


def recording_of(wanted: str) -> Recording:
    """The recording in a file, or the bundled one.

    Raises:
        CommandFailed: there is none, or none that can be played.
    """
    path = DEMO_FILE if wanted == DEMO else expand_home(wanted, Path.home())
    try:
        if (length := path.stat().st_size) > SAID_BYTES:
            say(f"reading {path} ({size(length)}) …")
        return read_recording(path)
    except RecordingError as error:
        raise CommandFailed(ExitCode.USAGE, str(error)) from None
    except OSError as error:
        hint = "" if wanted == DEMO else "; --play demo plays the bundled one"
        raise CommandFailed(ExitCode.USAGE, f"{path}: {error.strerror or error}{hint}") from None
