"""The tool calls of one answer: passed on as they come or held until whole, judged, mended, recorded. Pure.

A call that the upstream's grammar holds to its tool is passed on piece by piece. Every other call is held
until it is whole: what fits its schema is sent, what can be mended is mended and sent, the rest is text.

Some upstreams tell a call apart and leave it in the text too. The client gets the one that comes first, so
that neither the call nor what follows it has to wait for the other.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Literal

from engine.tool_calls.families import family_that_reads
from engine.tool_calls.recovery import Unrecovered, recover_arguments, recover_text
from engine.tool_calls.schemas import Verdict
from engine.tool_calls.stray_calls import StrayCall
from proxy.backends.upstream import ToolCallDelta, ToolCallOpen, ToolCallRaw
from proxy.traces.schema import TraceToolCall
from proxy.translate.content_blocks import ContentBlocks
from proxy.translate.pending_calls import CallIds, PendingCall, PendingCalls
from proxy.translate.tools import ToolSet

CUT = "the answer ended within the call"
UNSENT = "the answer broke off before the call was sent"

Way = Literal["text", "structure"]
"""How a call came: in the answer's text, or told apart from it by the upstream."""


class AnswerCalls:
    """Writes calls into `blocks`; `judged` and `notes` gather until the caller takes them.

    With `streamed` off each call is held: a message that is sent as a whole shows no half of a call. Of more
    than `most` calls, which the client forbids, none is sent.
    """

    def __init__(
        self,
        tools: ToolSet,
        blocks: ContentBlocks,
        used_ids: frozenset[str],
        *,
        streamed: bool,
        most: int | None = None,
    ) -> None:
        self.judged: list[TraceToolCall] = []
        self.notes: list[str] = []
        self.sent = 0  # calls that the client has
        self.fault = ""  # why the answer cannot be used: half a call was sent, and no rest will come
        self._tools = tools
        self._blocks = blocks
        self._streamed = streamed
        self._most = most
        self._ids = CallIds(used_ids)
        self._pending = PendingCalls(self._ids)
        self._announced = -1  # index of the call whose pieces may be passed on once it has a name
        self._live_index = -1
        self._live: PendingCall | None = None  # the call whose block is open
        self._halves: list[PendingCall] = []  # sent in part; the end of the answer tells why
        # What was sent of each way, and has not come the other way yet.
        self._unpaired: dict[Way, Counter[str]] = {"text": Counter(), "structure": Counter()}

    def open(self, step: ToolCallOpen) -> None:
        """The next call is bound by a grammar."""
        self._end_live()
        if self._streamed:
            self._announced = step.index

    def add(self, step: ToolCallDelta) -> None:
        """Take a piece of a call. Costs no more than to write it down: there may be one a token."""
        if self._live is not None:
            if step.index == self._live_index:
                if step.arguments:
                    self._live.pieces.append(step.arguments)
                    self._blocks.tool_input(step.arguments)
                return
            self._end_live()
        if step.index == self._announced and step.name:
            self._begin_live(step)
        elif self._pending.add(step):
            self._settle(self._pending.take_complete(but=step.index))

    def tell(self, step: ToolCallRaw) -> None:
        """Take what the upstream tells of a call, and end it if it is the open one."""
        if self._live is not None and step.index == self._live_index:
            self._live.told = step
            self._end_live()
        else:
            self._pending.tell(step)

    def give_way(self) -> None:
        """Something else comes next: what is whole stands before it."""
        if self._live is not None:
            self._end_live()
        if self._pending:
            self._settle(self._pending.take_complete())

    def take_stray(self, stray: StrayCall, *, cut: bool = False) -> bool:
        """Send the calls that came as text; with `cut` the answer ended within them. False: it stays text."""
        self.give_way()
        family = family_that_reads(stray.raw, self._tools.schemas)
        found = Unrecovered(CUT, ()) if cut else recover_text(stray.raw, self._tools.schemas, family)
        if isinstance(found, Unrecovered):
            self._blocks.text(stray.raw)
            self.notes.append(f"text that looks like a tool call stayed text: {found.why}")
            return False
        for call in found:
            self._send(
                TraceToolCall(
                    id=self._ids.fresh(),
                    name=call.name,
                    raw=stray.raw,
                    family=family.name if family is not None else "",
                    input=call.verdict.input,
                    repairs=["took it out of the text", *call.repairs],
                    verdict=call.verdict.verdict,
                    detail=call.verdict.detail,
                ),
                "text",
            )
        return True

    def finish(self, *, cut: bool) -> None:
        """The answer has ended; with `cut` not by the model's own will, so that no half call is mended."""
        self._end_live()
        for half in self._halves:
            self._record_half(half, cut=cut)
        self._settle(self._pending.take_all(), cut=cut)

    @property
    def held(self) -> bool:
        """Whether there are calls that are not sent yet."""
        return bool(self._pending)

    @property
    def unfinished(self) -> bool:
        """Whether a call has begun and is not whole."""
        live = self._live is not None and not self._live.complete
        return live or bool(self._halves) or self._pending.unfinished

    def break_off(self) -> None:
        """No end will come: what is not sent stays so, and a block that is open stays open."""
        live, self._live = self._live, None
        for call in (*self._halves, *([live] if live else []), *self._pending.take_all()):
            entry = _cut_entry(call, UNSENT if call.complete else CUT)
            self.notes.append(f"a call of {call.name!r} is not carried out: {entry.detail}")
            self.judged.append(entry)
        self._halves = []

    # -- calls that are passed on as they come ------------------------------------------------------------

    def _begin_live(self, step: ToolCallDelta) -> None:
        self.give_way()
        self._announced, self._live_index = -1, step.index
        self._live = PendingCall(self._ids.fresh(step.id), step.name)
        self._blocks.begin_tool_use(self._live.id, step.name)
        if step.arguments:
            self._live.pieces.append(step.arguments)
            self._blocks.tool_input(step.arguments)

    def _end_live(self) -> None:
        call, self._live = self._live, None
        if call is None:
            return
        self._blocks.close()
        if not call.complete:
            self._halves.append(call)
            return
        verdict = self._tools.judge(call.name, call.arguments)
        self.sent += 1
        entry = _entry(call, verdict)
        self.judged.append(entry)
        self._unpaired["structure"][_meaning(entry)] += 1
        if not verdict.usable:
            self.notes.append(
                f"a call of {call.name!r} was passed on while it was written, and does not fit:"
                f" {verdict.detail}"
            )

    def _record_half(self, call: PendingCall, *, cut: bool) -> None:
        if cut:
            self.judged.append(_cut_entry(call))
            return
        verdict = self._tools.judge(call.name, call.arguments)
        self.judged.append(_entry(call, verdict))
        if verdict.usable:
            self.sent += 1
            return
        self.fault = f"a call of {call.name!r} broke off while it was passed on: {verdict.detail}"

    # -- calls that are held until whole ------------------------------------------------------------------

    def _settle(self, calls: Iterable[PendingCall], *, cut: bool = False) -> None:
        for call in calls:
            if cut and not call.complete:
                self._give_back(_cut_entry(call))
                continue
            verdict = self._tools.judge(call.name, call.arguments)
            if verdict.usable:
                self._send(_entry(call, verdict), "structure")
            else:
                self._mend(call, verdict)

    def _mend(self, call: PendingCall, verdict: Verdict) -> None:
        entry = _entry(call, verdict)
        found = recover_arguments(call.name, call.arguments, self._tools.schemas)
        entry.repairs += found.repairs
        if isinstance(found, Unrecovered):
            entry.detail = entry.detail or found.why
            self._give_back(entry)
            return
        entry.name, entry.input = found.name, found.verdict.input
        entry.verdict, entry.detail = found.verdict.verdict, found.verdict.detail
        self._send(entry, "structure")

    def _send(self, entry: TraceToolCall, way: Way) -> None:
        """Send a call, unless it came the other way before: one call that would be carried out twice."""
        other: Way = "structure" if way == "text" else "text"
        meaning = _meaning(entry)
        if self._unpaired[other][meaning]:
            self._unpaired[other][meaning] -= 1
            self.notes.append(
                f"a call of {entry.name!r} came both in the text and told apart from it: sent it once"
            )
            return
        if self._most is not None and self.sent >= self._most:
            entry.detail = "the request forbids calls" if not self._most else "the request allows one call"
            self._give_back(entry)
            return
        self._unpaired[way][meaning] += 1
        self._blocks.tool_use(entry.id, entry.name, entry.input or {})
        self.sent += 1
        self.judged.append(entry)

    def _give_back(self, entry: TraceToolCall) -> None:
        self._blocks.text(entry.raw)
        self.notes.append(f"a call of {entry.name!r} was given back as text: {entry.detail}")
        self.judged.append(entry)


def _meaning(entry: TraceToolCall) -> str:
    """The same for all calls that do the same, however they are spelled."""
    try:
        return json.dumps([entry.name, entry.input], sort_keys=True)
    except RecursionError:
        return entry.id  # too deep to be compared: taken for another call than all others


def _cut_entry(call: PendingCall, why: str = CUT) -> TraceToolCall:
    """A call without its end has no input: what there is of it might mean something else."""
    entry = _entry(call, Verdict("unparsed", detail=why))
    entry.verdict = "cut"
    return entry


def _entry(call: PendingCall, verdict: Verdict) -> TraceToolCall:
    told = call.told or ToolCallRaw(0, "")
    return TraceToolCall(
        id=call.id,
        name=call.name,
        raw=call.raw,
        tokens=list(told.tokens),
        family=told.family,
        constrained=told.constrained,
        relaxed=told.relaxed,
        input=verdict.input,
        repairs=list(told.repairs),
        verdict=verdict.verdict,
        detail=verdict.detail,
    )
