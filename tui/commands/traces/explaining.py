"""`anyclaude-tui traces why` and `traces context`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress

from proxy.host_record import recorded_hosts
from proxy.traces.analysis.context import context_of_session, context_of_trace
from proxy.traces.analysis.context_facts import ContextBudget
from proxy.traces.analysis.why import explain
from proxy.traces.analysis.why_facts import Why
from proxy.traces.index import TraceIndex
from proxy.traces.opened_index import asked_index
from proxy.traces.reading import TraceError, load_trace
from proxy.traces.schema import Trace
from tui.client.context_text import context_report
from tui.client.figures import seconds
from tui.client.host_client import HostError, host_state
from tui.client.why_text import phase_bars, shown_phases, why_advice, why_sentence, why_usual
from tui.client.wire_text import hanging
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.output import terminal_columns, write_data
from tui.commands.traces.places import is_trace, open_trace, traces_folder

_LABEL = 13
_HANG = 4  # cells, of what does not fit into a line of the context
_BAR = 40  # cells for the whole request


def run_traces_why(invocation: Invocation, wanted: str, *, as_json: bool) -> int:
    """Print why a request was slow, missed, failed or left; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError, tui.commands.exit_codes.CommandFailed: see `Invocation`; no
        such trace.
        sqlite3.Error: the index cannot be read.
    """
    folder = traces_folder(invocation)
    trace = open_trace(folder, wanted)
    why = asked_index(folder, lambda index: explain(trace, index), notice=say)
    if as_json:
        write_data(why.model_dump_json(indent=2) + "\n")
        return ExitCode.FINE
    columns = terminal_columns()
    for line in _report(why):
        write_data("\n".join(hanging(line, columns, _LABEL)) + "\n")
    return ExitCode.FINE


def run_traces_context(invocation: Invocation, wanted: str, *, window: int, as_json: bool) -> int:
    """Print what fills the context window of a session, or at one request; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError, tui.commands.exit_codes.CommandFailed: see `Invocation`; no
        such session or trace.
        sqlite3.Error: the index cannot be read.
    """
    folder = traces_folder(invocation)
    window = window or _window(invocation)
    trace = open_trace(folder, wanted) if is_trace(wanted) else None

    def counted(index: TraceIndex) -> ContextBudget:
        def load(name: str) -> Trace:
            return load_trace(folder, name)

        if trace is not None:
            return context_of_trace(trace, index, load, window=window)
        return context_of_session(wanted, index, load, window=window)

    try:
        budget = asked_index(folder, counted, notice=say)
    except TraceError as error:
        raise CommandFailed(ExitCode.USAGE, f"{error}; traces list has the sessions and traces") from None
    if as_json:
        write_data(budget.model_dump_json(indent=2) + "\n")
        return ExitCode.FINE
    columns = terminal_columns()
    for line in context_report(budget):
        write_data("\n".join(hanging(line, columns, _HANG)) + "\n")
    if not window:
        say("neither the configuration nor a host that runs tells the window: --window N says it")
    return ExitCode.FINE


def _window(invocation: Invocation) -> int:
    """The context window of the configuration, else of the host that runs with this home; 0: not known."""
    config = invocation.settle().config
    if config.context_tokens:
        return config.context_tokens
    for record in recorded_hosts(config.home):
        with suppress(HostError):
            if tokens := asyncio.run(host_state(record.url, config.token)).engine.context_tokens:
                return tokens
    return 0


def _report(why: Why) -> Iterator[str]:
    yield why_sentence(why)
    for name, text in (("usual", why_usual(why)), ("to do", why_advice(why))):
        if text:
            yield f"{name:<{_LABEL}}{text}"
    if phases := shown_phases(why):
        yield ""
    for phase, begin, cells in phase_bars(why, phases, _BAR):
        bar = " " * begin + "█" * cells
        yield f"{phase.name:<{_LABEL}}{seconds(phase.seconds):>6}  {bar}"
