"""The command that starts this program in another terminal; after `make run` it is not on the PATH."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from proxy.configuration.files import STATE_FOLDER

NAME = "anyclaude-tui"
_USUAL_PORT = 8082


def program_with_options(
    port: int,
    environ: Mapping[str, str],
    program: str | None = None,
    *,
    home: Path | None = None,
    config: str = "",
) -> str:
    """This program with what leads it to the host at `port`, from any working directory.

    `home` is the host's state folder, `config` the configuration file that was named; the usual ones are left
    out. `program` is the file that was started (default: this process's).
    """
    options = f" --config {_shown(Path(config).expanduser().absolute(), environ)}" if config else ""
    if home is not None and home != Path(environ.get("HOME", "")) / STATE_FOLDER:
        options += f" --home {_shown(home.absolute(), environ)}"
    options += "" if port in (0, _USUAL_PORT) else f" --port {port}"
    return program_name(environ, program) + options


def claude_command(
    port: int,
    environ: Mapping[str, str],
    program: str | None = None,
    *,
    home: Path | None = None,
    config: str = "",
) -> str:
    """The command line that starts Claude Code on that host; see `program_with_options`."""
    return f"{program_with_options(port, environ, program, home=home, config=config)} claude"


def program_name(environ: Mapping[str, str], program: str | None = None) -> str:
    """The program's name if the PATH has it, else its path, quoted for a shell."""
    path = Path(program or sys.argv[0]).absolute()
    if path.name != NAME or not path.is_file():
        return NAME  # started as a module or by a test
    found = shutil.which(NAME, path=environ.get("PATH", ""))
    if found is not None and Path(found).samefile(path):
        return NAME
    return _shown(path, environ)


def _shown(path: Path, environ: Mapping[str, str]) -> str:
    """A path for a shell, short where it is in the user's home."""
    home = Path(environ.get("HOME", ""))
    if home.is_absolute() and path != home and path.is_relative_to(home):
        return f"~/{shlex.quote(str(path.relative_to(home)))}"
    return shlex.quote(str(path))


def program_path() -> str:
    """This program's file, as it was started, else beside the interpreter; for callers without our PATH."""
    started = Path(sys.argv[0]).absolute()
    return str(
        started if started.name == NAME and started.is_file() else Path(sys.executable).with_name(NAME)
    )
