"""A bug bundle from the screen: the question says what will be in it, the answer where it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from textual import work

from tui.client.figures import size
from tui.client.wire_text import line_text, wrap
from tui.screen.host_actions.asking import AskingApp
from tui.screen.host_protocols import HostApi
from tui.screen.keymap import bindings
from tui.screen.screens.box import Box
from tui.screen.screens.confirm import ConfirmScreen
from tui.screen.styled_line import Line

if TYPE_CHECKING:
    from tui.client.recording.bundle import MadeBundle

MINUTES = 15  # that the recording goes back
Answer = Literal["", "redacted", "none"]


class Bundler(Protocol):
    """Makes a bundle of a host, or without one, with these traces and such contents."""

    async def __call__(
        self, client: HostApi | None, contents: Literal["redacted", "none"], traces: Sequence[str]
    ) -> MadeBundle: ...


class BundleScreen(Box[Answer]):
    """Asks whether to make a bundle, and of what: `traces` are selected, a host answers or not."""

    place = "bundle"
    BINDINGS = bindings("bundle")
    title_text = "Make a bug bundle?"

    def __init__(self, traces: Sequence[str], *, connected: bool) -> None:
        super().__init__()
        self._traces = traces
        self._connected = connected

    def lines(self, width: int) -> list[Line]:
        selected = ", and the selected one" if self._traces else ""
        whole = f"marked traces, whole{selected}"
        parts = ["versions, the configuration, the ends of the logs", whole]
        if self._connected:
            parts.insert(0, f"a recording of the last {MINUTES} minutes, with all texts")
        else:
            parts.append("no recording: there is no contact with the host")
        lines: list[Line] = []
        for part in parts:
            for number, line in enumerate(wrap(part, width - 4)):
                lines.append([(" · " if not number else "   ", "dim"), (line, "muted")])
        promise = (
            "What looks like a secret is taken out. Nothing leaves this machine: who gets it is up to you."
        )
        return [*lines, [], *([(" " + line, "")] for line in wrap(promise, width - 2))]

    def action_make(self, contents: Answer) -> None:
        """Make it."""
        self.dismiss(contents)

    def no_answer(self) -> Any:
        return ""


class BundlingApp(AskingApp):
    """The part of the control center that makes bug bundles; `bundler` is None where nobody can."""

    bundler: Bundler | None = None
    client: HostApi | None
    plays: bool = False

    def selected_traces(self) -> list[str]:
        """The traces that the user looks at."""
        raise NotImplementedError

    @work(name="bundle", group="bundle", exclusive=True, exit_on_error=False)
    async def action_bundle(self) -> None:
        """Make a bug bundle, after a question."""
        if self.bundler is None:
            self.notify_user("Nobody can make a bug bundle here.", "warning")
            return
        traces = self.selected_traces()
        link = self.store.snapshot().link
        client = self.client if not link.gone else None
        contents = await self.push_screen_wait(BundleScreen(traces, connected=client is not None))
        if not contents:
            return
        self.notify("Making the bug bundle …", timeout=1, markup=False)
        try:
            made = await self.bundler(client, contents, traces)
        except OSError as error:
            self.notify_user(f"There is no bug bundle: {error.filename or ''} {error.strerror}", "error")
            return
        left_out = "".join(f" Left out: {line_text(what)}." for what in made.left_out[:3])
        told = f"{line_text(str(made.path), 1000)} ({size(made.bytes)}); --play shows it.{left_out}"
        if await self.push_screen_wait(
            ConfirmScreen("The bug bundle is made", told, "copy its path", "close")
        ):
            from tui.screen.clipboard import copy

            copy(self, str(made.path), "path")
