"""The agent of a user's launchd, in the form of launchd.plist(5)."""

from __future__ import annotations

import plistlib
from pathlib import Path

from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.headless import run_headless
from tui.commands.invocation import Invocation, say
from tui.commands.service.plan import ServicePlan

LABEL = "local.anyclaude-tui"
OPTION = "--under-launchd"
_RETRY_S = 30
_STOP_S = 60


def agent_path(user_home: Path) -> Path:
    """Where the user's own agents lie."""
    return user_home / "Library" / "LaunchAgents" / f"{LABEL}.plist"


def agent_content(plan: ServicePlan) -> bytes:
    """The agent as an XML property list."""
    log = str(plan.home / "logs" / "service.log")
    agent = {
        "Label": LABEL,
        "ProgramArguments": [*plan.arguments, "--no-ui", OPTION],
        "EnvironmentVariables": dict(plan.environment),
        "WorkingDirectory": "/",
        "RunAtLoad": True,
        # launchd knows no list of exit codes: `run_under_launchd` ends well where a restart does not help.
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": _RETRY_S,
        "ExitTimeOut": _STOP_S,
        "ProcessType": "Interactive",  # else the system slows it down, as it does with background work
        "Umask": 0o077,
        "StandardOutPath": log,
        "StandardErrorPath": log,
    }
    return plistlib.dumps(agent, sort_keys=False)


def run_under_launchd(invocation: Invocation) -> int:
    """A host in the foreground; a wrong configuration is no failure here, so that launchd does not retry."""
    from proxy.configuration.settled import ConfigError

    try:
        code = run_headless(invocation)
    except ConfigError as error:
        code, message = int(ExitCode.USAGE), str(error)
    except CommandFailed as failed:
        code, message = failed.exit_code, failed.message
    else:
        message = ""
    for line in message.splitlines():
        say(f"anyclaude-tui: {line}")
    if code == ExitCode.USAGE:
        say("not started again; when it is repaired: anyclaude-tui service install")
    return ExitCode.FINE if code in (ExitCode.USAGE, ExitCode.INTERRUPTED) else code
