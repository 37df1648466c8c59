"""`anyclaude-tui service install|remove|status`."""

from __future__ import annotations

import json
from pathlib import Path

from engine.process.listening import is_listened_to
from engine.process.private_files import private_folder, write_private
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say, surroundings
from tui.commands.output import write_data
from tui.commands.service.plan import service_plan
from tui.commands.service.service_managers import ManagerFailed, ServiceManager, manager_here


def run_install(invocation: Invocation, *, system: str | None = None) -> int:
    """Write the service's file and start it; returns the exit code, 1 if it is written but not started.

    Raises:
        proxy.configuration.settled.ConfigError: the configuration is wrong, so nothing is written.
        CommandFailed: the file cannot be written.
    """
    if invocation.attach:
        raise CommandFailed(ExitCode.USAGE, "--attach names a host that runs; a service starts one")
    cwd, user_home = surroundings()
    settled = invocation.settle()
    manager = manager_here(invocation.environ, user_home, system=system)
    plan = service_plan(settled, invocation.options, invocation.environ, cwd=cwd)
    try:
        content = manager.content(plan)
    except ValueError as error:
        raise CommandFailed(ExitCode.USAGE, str(error)) from None
    try:
        private_folder(plan.home / "logs")
    except OSError as error:
        raise CommandFailed(
            ExitCode.USAGE, f"the state folder cannot be used ({error}); no service was written"
        ) from None
    if _state(manager) != "running" and is_listened_to(settled.config.host, settled.config.port):
        say(
            f"warning: something listens on port {settled.config.port} already, and the service cannot start "
            "before it ends: anyclaude-tui stop"
        )
    replaced = manager.file.exists()
    _write(manager.file, content)
    write_data(f"{manager.file}\n")
    say(f"{'replaced' if replaced else 'wrote'} the {manager.name} service above; it runs:")
    say(f"  {' '.join(plan.arguments)} --no-ui")
    for name, value in plan.environment.items():
        say(f"  with {name}={value}")
    for note in plan.notes:
        say(f"warning: {note}")
    try:
        manager.start()
    except ManagerFailed as failed:
        say(f"anyclaude-tui: the file is written, but {manager.name} did not start it: {failed}")
        for line in manager.by_hand:
            say(f"  by hand: {line}")
        return ExitCode.FAILED
    say("started, now and with each login; see: anyclaude-tui service status, anyclaude-tui status")
    if manager.name == "systemd":
        say("its log: journalctl --user -u anyclaude-tui; to run without a login: loginctl enable-linger")
    else:
        say(f"its log: {plan.home}/logs/service.log")
    say("to undo this: anyclaude-tui service remove")
    return ExitCode.FINE


def run_remove(invocation: Invocation, *, system: str | None = None) -> int:
    """Stop the service and remove its file; returns the exit code, 0 also if it was not there.

    Raises:
        CommandFailed: the file cannot be removed.
    """
    _, user_home = surroundings()
    manager = manager_here(invocation.environ, user_home, system=system)
    if not manager.file.exists():
        say(f"there is no service: {manager.file} does not exist")
        return ExitCode.FINE
    code = ExitCode.FINE
    try:
        manager.stop()
    except ManagerFailed as failed:
        say(f"anyclaude-tui: {manager.name} did not stop it ({failed}); to end its host: anyclaude-tui stop")
        code = ExitCode.FAILED
    try:
        manager.file.unlink(missing_ok=True)
    except OSError as error:
        raise CommandFailed(
            ExitCode.FAILED, f"{manager.file} cannot be removed: {error.strerror or error}"
        ) from None
    write_data(f"{manager.file}\n")
    try:
        manager.forget()
    except ManagerFailed:
        pass  # it reads its files at the next login
    say("removed the file above; traces, caches and the configuration are kept")
    say("to have it again: anyclaude-tui service install")
    return code


def run_service_status(
    invocation: Invocation, *, json_wanted: bool = False, system: str | None = None
) -> int:
    """Print whether the service is installed and runs; returns the exit code, 1 if it does not run."""
    _, user_home = surroundings()
    manager = manager_here(invocation.environ, user_home, system=system)
    installed = manager.file.exists()
    state = _state(manager) if installed else "not installed"
    if json_wanted:
        facts = {"manager": manager.name, "file": str(manager.file), "installed": installed, "state": state}
        write_data(json.dumps(facts) + "\n")
    else:
        write_data(
            f"service   {state}\nfile      {manager.file}{'' if installed else ', which does not exist'}\n"
        )
        if not installed:
            say("to install it: anyclaude-tui service install")
        elif state != "running":
            say("to start it: anyclaude-tui service install; what it said is in its log")
    return ExitCode.FINE if state == "running" else ExitCode.FAILED


def _state(manager: ServiceManager) -> str:
    try:
        return manager.state()
    except ManagerFailed as failed:
        return f"not known ({failed})"


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, content)
    except OSError as error:
        raise CommandFailed(ExitCode.USAGE, f"{path} cannot be written: {error.strerror or error}") from None
