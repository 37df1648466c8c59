"""Where documented commands run: a home, a project folder and a port of their own, and one host for all."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from bench.child import Child, clean_environment, poll, wait_ready
from bench.claude_code import claude_path
from bench.terminal_session import terminal_session
from tests import servers
from tests.documents.blocks import CommandBlock, DocumentedCommand
from tests.documents.shown import RequestNames, missing

COMMAND_S = 90
FAILING_S = 0.5  # in which a command that has printed an error ends by itself


class CommandDiffers(AssertionError):
    """A command does not do what its document shows; the message has its place and what it printed."""


class Workplace:
    """Runs blocks in the order of their documents; a context manager that ends what runs on.

    In a document the port is 8082, the home `/home/you` and the project `/home/you/project`.
    """

    def __init__(self, folder: Path) -> None:
        self._home = folder
        self._project = folder / "project"
        self._project.mkdir(parents=True)
        self._state = folder / "shell-state"  # the variables after the last command of the document
        self._port = self._host_port = _free_port()
        self._environment = clean_environment(
            HOME=str(folder),
            PATH=os.pathsep.join(
                [str(Path(sys.executable).parent), str(claude_path().parent), os.environ["PATH"]]
            ),
            COLUMNS="120",
            IS_SANDBOX="1",  # the client refuses some modes to root otherwise
        )
        self._names = RequestNames()
        self._host: Child | None = None
        self._host_command = ""
        self._open = ExitStack()

    def __enter__(self) -> Workplace:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def begin(self) -> None:
        """A new document: back to the project, with variables and requests of its own."""
        self._state.write_text("")
        self._names = RequestNames()

    def run(self, block: CommandBlock) -> None:
        """Run a block's commands.

        Raises:
            CommandDiffers: one ended with another exit code, or did not print what the block shows.
        """
        self._port = _free_port() if "alone" in block.marks else self._host_port
        last = block.commands[-1]
        if "screen" in block.marks:
            for command in block.commands:
                self._open_screen(block, command)
        elif "follow" in block.marks:
            for command in block.commands:
                self._follow(block, command)
        elif "host" in block.marks:
            if block.commands[:-1]:
                self._run_in_shell(block, block.commands[:-1], 0)
            self._keep_host(block, last)
        else:
            self._run_in_shell(block, block.commands, block.exit_code)

    @property
    def _environ(self) -> dict[str, str]:
        return {**self._environment, "ANYCLAUDE_PORT": str(self._port)}

    def _here(self, text: str) -> str:
        """A text of a document with this workplace's port and home."""
        return text.replace("/home/you", str(self._home)).replace("8082", str(self._port))

    def _command(self, block: CommandBlock, command: DocumentedCommand) -> str:
        try:
            text = self._names.in_command(self._here(command.text))
        except LookupError as error:
            raise CommandDiffers(f"{block.document}:{command.line}: {error}") from None
        return text.replace(".venv/bin/", "")

    def _check(self, block: CommandBlock, command: DocumentedCommand, streams: list[str]) -> None:
        line = missing([self._here(line) for line in command.shown], streams, self._names)
        if line is not None:
            said = "\n".join(streams)
            raise CommandDiffers(
                f"{block.document}:{command.line}: {command.text}\nhas no line\n  {line}\nIt printed\n{said}"
            )

    def _run_in_shell(self, block: CommandBlock, commands: list[DocumentedCommand], code: int) -> None:
        """Each command in a shell that goes on where the one before ended: its folder and its variables."""
        begin = f'set -a; . {self._state}; cd "$PWD"; ANYCLAUDE_PORT={self._port}'
        for command in commands:
            process = self._start(
                f"{begin}\n{self._command(block, command)}\ncode=$?; export -p > {self._state}; exit $code"
            )
            try:
                printed, error = process.communicate(timeout=COMMAND_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                said = "\n".join(process.communicate())
                raise CommandDiffers(
                    f"{block.document}:{command.line}: {command.text}\nis not done in {COMMAND_S} s\n{said}"
                ) from None
            wanted = code if command is commands[-1] else 0
            if process.returncode != wanted:
                raise CommandDiffers(
                    f"{block.document}:{command.line}: {command.text}\n"
                    f"ended with {process.returncode}, not {wanted}\n{printed}\n{error}"
                )
            self._check(block, command, [printed, error])

    def _follow(self, block: CommandBlock, command: DocumentedCommand) -> None:
        """Let a command that does not end print something, and interrupt it."""
        # A file of its own: the command before may still write while it ends.
        log = self._home / f"followed-{block.line}-{command.line}.log"
        with log.open("w") as printed:
            process = self._start(f"exec {self._command(block, command)}", stdout=printed, stderr=printed)
        try:
            poll(lambda: log.stat().st_size, timeout_s=COMMAND_S, what=command.text)
            with suppress(subprocess.TimeoutExpired):
                process.wait(FAILING_S)
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGINT)
                process.wait(COMMAND_S)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.returncode not in (130, -signal.SIGINT):
            raise CommandDiffers(
                f"{block.document}:{command.line}: {command.text}\n"
                f"did not wait for ctrl+c, and ended with {process.returncode}\n{log.read_text()}"
            )
        self._check(block, command, [log.read_text()])

    def _open_screen(self, block: CommandBlock, command: DocumentedCommand) -> None:
        """Open a screen, see what the document shows of it, and leave it."""
        shell = ["/bin/bash", "-c", f"exec {self._command(block, command)}"]
        with terminal_session(shell, cwd=self._project, environ=self._environ) as session:
            for line in command.shown:
                if line.strip() != "…":
                    session.wait_for(r"\s+".join(map(re.escape, self._here(line).split())))
            session.press("q")
            if (ended := session.wait_until_ended()) != 0:
                raise CommandDiffers(f"{block.document}:{command.line}: ended with {ended}\n{session.text}")

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def _keep_host(self, block: CommandBlock, command: DocumentedCommand) -> None:
        """Start a host that runs on; one that an earlier document started serves this one too."""
        if self._host is None:
            log = self._home / "host.log"
            with log.open("w") as printed:
                process = self._start(f"exec {self._command(block, command)}", stdout=printed, stderr=printed)
            self._host = Child("documented host", process, log, self._url)
            servers.STARTED.append(self._host)
            self._open.callback(self._end_host, self._host)
            wait_ready(self._host)
            self._host_command = command.text
        elif command.text != self._host_command:
            raise CommandDiffers(
                f"{block.document}:{command.line}: {command.text}\n"
                f"is not run: the host that runs was started by {self._host_command}"
            )
        self._check(block, command, [self._host.log.read_text()])

    @staticmethod
    def _end_host(host: Child) -> None:
        try:
            os.killpg(host.pid, signal.SIGINT)
            assert host.process.wait(30) == 130, host.log_tail()
        finally:
            host.stop()

    def _start(self, script: str, **streams: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["/bin/bash", "-c", script],
            cwd=self._project,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=streams.get("stdout", subprocess.PIPE),
            stderr=streams.get("stderr", subprocess.PIPE),
            text=True,
            start_new_session=True,
        )


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
