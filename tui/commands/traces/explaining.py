"""`anyclaude-tui traces why`."""

from __future__ import annotations

from collections.abc import Iterator

from proxy.traces.analysis.why import explain
from proxy.traces.analysis.why_facts import Phase, Why
from proxy.traces.opened_index import asked_index
from tui.client.figures import seconds
from tui.client.why_text import why_advice, why_sentence, why_usual
from tui.client.wire_text import hanging
from tui.commands.exit_codes import ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.output import terminal_columns, write_data
from tui.commands.traces.places import open_trace, traces_folder

_LABEL = 11
_BAR = 40  # cells for the whole request
_LEAST_S = 0.0005  # of a phase that is shown


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


def _report(why: Why) -> Iterator[str]:
    yield why_sentence(why)
    for name, text in (("usual", why_usual(why)), ("to do", why_advice(why))):
        if text:
            yield f"{name:<{_LABEL}}{text}"
    if why.phases:
        yield ""
    whole = sum(phase.seconds for phase in why.phases)
    for phase in why.phases:
        if phase.seconds < _LEAST_S:
            continue
        yield f"{phase.name:<{_LABEL}}{seconds(phase.seconds):>6}  {_bar(phase, whole)}"


def _bar(phase: Phase, whole: float) -> str:
    begin = round(_BAR * phase.start / whole)
    end = max(begin + 1, round(_BAR * (phase.start + phase.seconds) / whole))
    return " " * begin + "█" * (end - begin)
