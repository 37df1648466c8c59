"""The unit of a systemd user manager, in the form of systemd.service(5) and systemd.syntax(7)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.process.exit_codes import ExitCode
from tui.commands.service.plan import ServicePlan

UNIT = "anyclaude-tui.service"
START_CODES = (ExitCode.USAGE,)  # that another start would end with too
_STOP_S = 60


def unit_path(environ: Mapping[str, str], user_home: Path) -> Path:
    """Where the user's own units lie."""
    named = environ.get("XDG_CONFIG_HOME", "")
    root = Path(named) if named.startswith("/") else user_home / ".config"
    return root / "systemd" / "user" / UNIT


def unit_text(plan: ServicePlan) -> str:
    """The unit's content.

    Raises:
        ValueError: the path of the program has characters that systemd refuses in it.
    """
    program, *options = plan.arguments
    if any(char in program for char in "\"'\\\n"):
        raise ValueError(f"systemd cannot start {program!r}: quotes and backslashes are not allowed there")
    command = " ".join(
        [_quoted(program), *(_quoted(option).replace("$", "$$") for option in (*options, "--no-ui"))]
    )
    variables = "".join(
        f"Environment={_quoted(f'{name}={value}')}\n" for name, value in plan.environment.items()
    )
    codes = " ".join(str(int(code)) for code in START_CODES)
    return f"""\
# Written by "anyclaude-tui service install"; "anyclaude-tui service remove" removes it.
[Unit]
Description=anyclaude-tui: Claude Code on a model of your own
StartLimitIntervalSec=600
StartLimitBurst=5

[Service]
Type=exec
ExecStart={command}
{variables}WorkingDirectory=/
UMask=0077
Restart=on-failure
RestartSec=10
# {codes}: the command line or the configuration is wrong, which a restart does not mend.
RestartPreventExitStatus={codes}
SuccessExitStatus={int(ExitCode.INTERRUPTED)}
# The host ends its engine itself; what is left after that is killed.
KillMode=mixed
TimeoutStopSec={_STOP_S}

[Install]
WantedBy=default.target
"""


def _quoted(text: str) -> str:
    """A word between double quotes, without specifiers.

    Raises:
        ValueError: there is a line break in it, which no quoting can hold.
    """
    if "\n" in text or "\r" in text:
        raise ValueError(f"{text!r} has a line break, which cannot be written into a unit")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'
