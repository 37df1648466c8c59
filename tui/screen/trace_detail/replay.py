"""A stored request asked again: both answers side by side, with their times."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import TYPE_CHECKING

from textual.app import ComposeResult

from tui.client.figures import clock, count, percent, plural, rate, ratio, seconds
from tui.client.wire_text import block_text, hanging, line_text, shorten, wrap
from tui.screen.clipboard import copy
from tui.screen.keymap import bindings, key_of
from tui.screen.panes.traces import TracesPane
from tui.screen.screens.choice_box import MOVES, ChoiceBox
from tui.screen.screens.opened import OpenedScreen
from tui.screen.styled_line import Line, fit
from tui.screen.trace_detail.headline import ENDS
from tui.screen.widgets.block_layout import Block
from tui.screen.widgets.canvas import Canvas
from tui.screen.widgets.collapsible_blocks import INDENT, CollapsibleBlocks
from tui.screen.widgets.in_background import in_background

if TYPE_CHECKING:
    from proxy.traces.request_replay import ReplayedAnswer
    from proxy.traces.schema import Trace

_MOST_ALIGNED = 2000  # lines of an answer
_MOST_MODELS = 9  # that are offered, on digits
_GAP = 3
OTHER = "another model"


class ReplayQuestion(ChoiceBox[str | None]):
    """Asks which of `models` answers; ends with its name, with `OTHER` for one that the host is to load.

    `loads` says whether it can; `command` asks one on a host of its own. `payee` is the server elsewhere that
    answers, if one does. If the user leaves, it ends with nothing.
    """

    place = "ask"
    cells = 84
    BINDINGS = [*MOVES, *bindings("ask")]  # noqa: RUF012 - as Textual declares it
    title_text = "Ask this request again?"

    def __init__(
        self,
        trace: Trace,
        models: list[str],
        redacted: int,
        command: str,
        *,
        loads: bool,
        payee: str = "",
    ) -> None:
        super().__init__(min(len(models), _MOST_MODELS))
        self._trace = trace
        self._models = models[:_MOST_MODELS]
        self._redacted = redacted
        self._command = command
        self._loads = loads
        self._payee = payee

    def action_take(self, number: int) -> None:
        """End with this model, or with that at the cursor."""
        place = self.at if number < 0 else number
        if place < len(self._models):
            self.dismiss(self._models[place])

    def action_other(self) -> None:
        """End with the wish for another model, where the host can load one."""
        if self._loads:
            self.dismiss(OTHER)
        else:
            self.app.notify("This host loads no other model.", timeout=3, markup=False)

    def action_copy(self) -> None:
        """Copy the command that asks another model."""
        copy(self.app, self._command, "command")

    def lines(self, width: int) -> list[Line]:
        usage = self._trace.usage
        took = f", took {seconds(self._trace.timings.done)} then" if self._trace.timings.done else ""
        about = (
            f"Its prompt has {plural(usage.prompt_tokens, 'token')}{took}. No tool is run, and its session"
            " does not see it; the answer gets a trace of its own."
        )
        if self._payee:
            about += f" It goes to {line_text(self._payee)}, which may charge for it."
        if self._redacted:
            about += f" {plural(self._redacted, 'secret')} of it [redacted]: the model is asked without."
        lines: list[Line] = [[(" " + part, "muted")] for part in wrap(about, max(20, width - 2))]
        lines.append([])
        self._first_line = len(lines)
        for place, model in enumerate(self._models):
            name = shorten(line_text(model), max(8, width - 6))
            lines.append([*self.mark(place), (name, self.look(place))])
        lines.append([])
        if self._loads:
            key, again = key_of("ask.other"), key_of("trace.replay")
            load = f" loads another model on this host; {again} asks that one then."
            lines.append([(f" {key}", "accent @screen.other"), (load, "muted @screen.other")])
        own = "A host of its own asks another, on the machine with the traces:"
        lines += [[(" " + part, "muted")] for part in wrap(own, max(20, width - 2))]
        return lines + [[(" " + part, "")] for part in hanging(self._command, max(20, width - 3), 2)]


class ReplayScreen(OpenedScreen):
    """Asks `trace` again, of `model`, and shows both answers; to leave it ends the request."""

    place = "replay"
    BINDINGS = bindings("replay")

    def __init__(self, trace: Trace, model: str) -> None:
        super().__init__()
        self._trace = trace
        self._model = model
        self._new_id = ""
        self._now: ReplayedAnswer | None = None
        self._problem = ""
        self._waited = 0

    def content(self) -> ComposeResult:
        yield Canvas(self._head, id="replay-head")
        yield CollapsibleBlocks()

    @property
    def subject(self) -> str:
        return f"replay {id(self)}"  # each is another request

    @property
    def request(self) -> str:
        return self._trace.id

    @property
    def session(self) -> str:
        return self._trace.session

    def on_mount(self) -> None:
        self.query_one(CollapsibleBlocks).focus()
        self._draw()
        self.set_interval(1.0, self._tick, name="waiting")
        in_background(self, "trace", self._ask)

    def _tick(self) -> None:
        if self._now is None and not self._problem:
            self._waited += 1
            self.query_one("#replay-head", Canvas).paint()

    async def _ask(self) -> None:
        from proxy.traces.request_replay import new_answer, replay_body, stored_answer

        app = self.control_center
        try:
            body = replay_body(self._trace) | {"model": self._model}
            answer = await app.ask_again(body, self._trace.request.query)
            self._new_id = answer.request_id
            try:  # its own trace knows more: times, and who answered
                self._now = stored_answer(await app.load_trace(answer.request_id))
            except Exception:
                self._now = new_answer(
                    answer.status, answer.body, model=self._model, duration_s=answer.took_s
                )
        except Exception as error:
            self._problem = line_text(str(error)) or type(error).__name__
        self._draw()

    def _draw(self) -> None:
        from proxy.traces.request_replay import stored_answer

        if not (self.is_attached and self.app.is_running):
            return
        then, now = stored_answer(self._trace), self._now
        self.query_one("#replay-head", Canvas).paint()
        self.query_one(CollapsibleBlocks).show([Block([], lambda width: beside(then, now, width), open=True)])

    def _head(self, width: int, height: int) -> list[Line]:
        from proxy.traces.request_replay import stored_answer

        left = INDENT + max(12, (width - INDENT - 2 - _GAP) // 2)  # as the columns below
        then = answer_facts("then", stored_answer(self._trace), clock(self._trace.time))
        if self._now is not None:
            now = answer_facts("now", self._now, "")
        elif self._problem:
            now = [[("now  ", "accent bold"), ("not answered", "bad")], [(self._problem, "bad")], []]
        else:
            words = f"asking {line_text(self._model)} … {plural(self._waited, 'second')}"
            now = [
                [("now  ", "accent bold"), (words, "decode")],
                [(f"{key_of('opened.back')} ends the request", "muted")],
                [],
            ]
        nothing: Line = []
        drawn: list[Line] = [
            [(" ", ""), *fit(one, left - 1), (" │ ", "rule"), *fit(other, width - left - _GAP)]
            for one, other in zip_longest(then, now, fillvalue=nothing)
        ]
        verdict = self._verdict()
        return [*drawn, [(" ", ""), *verdict] if verdict else [], [("─" * width, "rule")]]

    def _verdict(self) -> Line:
        from proxy.traces.request_replay import compared, stored_answer

        if self._now is None:
            return []
        alike, sentence = compared(stored_answer(self._trace), self._now)
        return [("= ", "ok") if alike else ("≠ ", "warn"), (sentence, "bold")]

    # -- commands -----------------------------------------------------------------------------------------

    def action_trace(self) -> None:
        """Open the trace of the new answer."""
        if self._now is not None and self._new_id:
            self.app.post_message(TracesPane.Opened(self._new_id))
        else:
            self.app.notify("It has no answer yet.", timeout=3, markup=False)

    def action_again(self) -> None:
        """Ask it once more."""
        if self._now is not None or self._problem:
            self.app.notify("It is asked once more.", timeout=1, markup=False)
            self._now, self._problem, self._waited = None, "", 0
            self._draw()
            in_background(self, "trace", self._ask)
        else:
            self.app.notify("It is being asked already.", timeout=2, markup=False)

    def action_copy(self) -> None:
        """Copy the new answer."""
        copy(self.app, block_text("\n\n".join(self._now.parts)) if self._now is not None else "", "answer")


def beside(then: ReplayedAnswer, now: ReplayedAnswer | None, width: int) -> list[Line]:
    """Two answers in two columns, equal lines beside each other; others are marked between them."""
    cells = max(12, (width - _GAP) // 2)
    left = _lines(then)
    right = _lines(now) if now is not None else []
    drawn: list[Line] = []
    for same, a, b in _aligned(left, right) if now is not None else [(True, left, right)]:
        one = [piece for line in a for piece in _wrapped(line, cells)]
        other = [piece for line in b for piece in _wrapped(line, cells)]
        mark = (" │ ", "rule") if same else (" ≠ ", "warn")
        nothing = ("", "")
        for first, second in zip_longest(one, other, fillvalue=nothing):
            drawn.append([*fit([first], cells), mark, second])
    return drawn


_Lines = list[tuple[str, str]]


def _aligned(left: _Lines, right: _Lines) -> Iterator[tuple[bool, _Lines, _Lines]]:
    """Stretches of lines that are equal, or differ."""
    if max(len(left), len(right)) > _MOST_ALIGNED:
        yield left == right, left, right
        return
    for tag, a, b, c, d in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        yield tag == "equal", left[a:b], right[c:d]


def _wrapped(line: tuple[str, str], cells: int) -> _Lines:
    return [(piece, line[1]) for piece in wrap(line[0], cells)]


def _lines(answer: ReplayedAnswer) -> _Lines:
    if answer.error and not answer.parts:
        return [(line_text(answer.error), "bad")]
    lines: _Lines = []
    for number, part in enumerate(answer.parts):
        style = "thinking" if part.startswith("[thinking]") else "tool" if part.startswith("[call]") else ""
        lines += [("", "")] if number else []
        lines += [(line, style) for line in block_text(part).rstrip("\n").split("\n")]
    return lines or [("(nothing)", "dim")]


def answer_facts(name: str, answer: ReplayedAnswer, when: str) -> list[Line]:
    """Three lines about one answer: its model, how it ended, its counts."""
    from proxy.traces.analysis.decode_speed import speed_after_first

    usage = answer.usage
    decoded = (answer.duration_s or 0.0) - answer.ttft_s if answer.ttft_s is not None else 0.0
    speed = speed_after_first(usage.output_tokens, decoded)
    told = f"   {rate(speed)} tok/s" if speed else ""
    share = percent(ratio(usage.cache_read_input_tokens, usage.prompt_tokens))
    restored = f" {share} restored," if answer.reports_reuse else ""
    first = f", TTFT {seconds(answer.ttft_s)}" if answer.ttft_s is not None else ""
    stop = line_text(answer.stop_reason)
    end = line_text(answer.error) if answer.error else ENDS.get(stop, stop) or str(answer.status)
    sign = ("✗ ", "bad") if answer.error else ("✓ ", "ok")
    counts = f"{count(usage.prompt_tokens)} in,{restored} {count(usage.output_tokens)} out"
    return [
        [
            (f"{name:<5}", "accent bold"),
            (f"{when}  " if when else "", ""),
            (line_text(answer.model), "muted"),
        ],
        [sign, (end, "muted"), (f"   took {seconds(answer.duration_s)}{first}", "")],
        [(counts + told, "muted")],
    ]
