"""The tool calls of one answer: streamed or buffered, judged, repaired, recorded. Pure.

A call that the upstream's grammar constrains to its tool is passed on piece by piece. Every other call is
buffered until it is whole: what fits its schema is sent, what can be repaired is repaired and sent. A whole
call that does not fit, or of a tool that is not offered, is passed on as it is: the client answers with an
error that the model can correct. So it does with a call whose arguments are no JSON, be it for want of their
end: in a stream they are sent as they were written, as Anthropic's API does at its limit, and never under the
stop reason `tool_use`, on which clients would run what can be read of them. What cannot be a call is returned
as text, and so is half a call in a message that is sent as a whole, where an input is an object.

Calls that came as text are taken at the answer's end only. Some upstreams send a structured call (one in
`tool_calls`) and leave it in the text too: then the text is left out. Else, beside structured calls, a call
in the text is text.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterable
from typing import Any

from engine.tool_calls.families.registry import matching_family
from engine.tool_calls.quoted.final_calls import FinalCalls
from engine.tool_calls.recovery.misfits import MisfitCall, begun_call, misfit_call, misfit_calls
from engine.tool_calls.recovery.recovery import Unrecovered, recover_arguments, recover_text
from engine.tool_calls.schemas.name_matching import matching_name
from engine.tool_calls.schemas.tools import Verdict, parse_json
from proxy.backends.upstream import ToolCallDelta, ToolCallOpen, ToolCallRaw
from proxy.events.tool_call import ToolCall
from proxy.translate.content_blocks import ContentBlocks
from proxy.translate.pending_calls import TRUNCATED, CallIds, PendingCall, PendingCalls
from proxy.translate.tools import ToolSet

NOT_WHOLE = "its end is missing"
BAD_END = "the answer has no end that is known to be the model's own"
MORE_FOLLOWS = "more follows it"
IN_THOUGHT = "it stands at the end of a thought"
UNSTRUCTURED = "the upstream sends calls apart from text"
UNSENT = "the answer broke off before the call was sent"
_BEGUN = "{"  # for a call that ends before its arguments: without any, clients take it for one that has none


class ToolCallWriter:
    """Writes calls into `blocks`; `judged` and `notes` gather until the caller takes them.

    With `streamed` off each call is buffered: a message that is sent as a whole shows no half of a call. No
    more than `most` calls are sent, which is what the client allows.
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
        self.judged: list[ToolCall] = []
        self.notes: list[str] = []
        self.sent = 0  # calls that the client has, those in `served` among them
        self.served: list[ToolCall] = []  # that the proxy is to run
        self.fault = ""  # why the answer cannot be used: half a call was sent, and no rest will come
        self._tools = tools
        self._blocks = blocks
        self._streamed = streamed
        self._most = most
        self._ids = CallIds(used_ids)
        self._pending = PendingCalls(self._ids)
        self._announced = -1  # index of the call whose pieces may be passed on once it has a name
        self._open_index = -1
        self._open: PendingCall | None = None  # the call whose block is open
        self._partial: list[PendingCall] = []  # sent in part; the end of the answer shows why
        self.structured_ids: list[str] = []  # of the calls that the upstream sent apart from the text
        self._unpaired: Counter[str] = Counter()  # what these do, but for those that came as text too

    def open(self, step: ToolCallOpen) -> None:
        """A grammar constrains the next call."""
        self._end_open()
        if self._streamed:
            self._announced = step.index

    def add(self, step: ToolCallDelta) -> None:
        """Take a piece of a call. Costs no more than to write it down: there may be one a token."""
        if self._open is not None:
            if step.index == self._open_index:
                if step.arguments:
                    self._open.pieces.append(step.arguments)
                    self._blocks.tool_input(step.arguments)
                return
            self._end_open()
        if step.index == self._announced and step.name:
            self._begin_open(step)
        elif self._pending.add(step):
            self._settle(self._pending.take_complete(but=step.index))

    def take_raw(self, step: ToolCallRaw) -> None:
        """Take what the upstream reports of a call, and end it if it is the open one."""
        if self._open is not None and step.index == self._open_index:
            self._open.reported = step
            if self._open.arguments.strip():
                self._end_open()  # else what follows shows whether it has none, or was truncated
        else:
            self._pending.take_raw(step)

    def flush_complete(self) -> None:
        """Send what is whole, before something else comes."""
        if self._open is not None:
            self._end_open()
        if self._pending.calls:
            self._settle(self._pending.take_complete())

    def take_text(
        self,
        calls: FinalCalls,
        *,
        truncated: bool = False,
        unreported: bool = False,
        followed: bool = False,
        answerable: bool = False,
    ) -> None:
        """Send the calls that the answer's text ends with; what cannot be sent stays text.

        Everything that stands before has been taken. With `truncated` the model did not end the answer
        itself, with `unreported` nobody knows, so that calls must have their end; with `followed` words come
        next. `answerable`: the client may get half a call.
        """
        if unreported:
            truncated = matching_family(calls.calls, self._tools.schemas, truncated=True) is None
        family = matching_family(calls.calls, self._tools.schemas)
        why = IN_THOUGHT if calls.in_thought else "" if calls.whole else TRUNCATED if truncated else NOT_WHOLE
        why = why or (BAD_END if truncated else "")
        found = Unrecovered(why) if why else recover_text(calls.calls, self._tools.schemas, family)
        if self.structured_ids and not isinstance(found, Unrecovered):
            meant = Counter(_meaning(call.name, call.verdict.input) for call in found)
            if meant <= self._unpaired:
                self._unpaired -= meant
                self.notes.append("a call came both in the text and apart from it: sent it once")
                return
            found = Unrecovered(UNSTRUCTURED)
        if followed and not isinstance(found, Unrecovered):
            found = Unrecovered(MORE_FOLLOWS)
        # Whether a call of an unknown tool is whole is known only when it is read as one.
        is_last = why in ("", NOT_WHOLE) and not (followed or self.structured_ids)
        unfit = isinstance(found, Unrecovered) and is_last
        if unfit and (misfits := misfit_calls(calls.calls, self._tools.schemas)):
            self._pass_on(calls.raw, misfits)
            return
        if why == TRUNCATED and answerable and self._write_begun(calls):
            return
        if isinstance(found, Unrecovered):
            self._blocks.text(calls.raw)
            self.notes.append(f"text that looks like a tool call stayed text: {found.why}")
            return
        for call in found:
            self._send(
                ToolCall(
                    id=self._ids.fresh(),
                    name=call.name,
                    raw=calls.raw,
                    family=family.name if family is not None else "",
                    input=call.verdict.input,
                    repairs=["took it out of the text", *call.repairs],
                    verdict=call.verdict.verdict,
                    detail=call.verdict.detail,
                )
            )

    def finish(self, *, truncated: bool, answerable: bool = False) -> None:
        """The answer has ended; `truncated` if the model did not end it: then half a call is not repaired.

        `answerable`: the client goes on after this end, and may get half a call.
        """
        if truncated and self._open is not None and not self._open.arguments.strip():
            self._blocks.tool_input(_BEGUN)
        self._end_open()
        for call in self._partial:
            self._record_partial(call, truncated=truncated)
        pending = self._pending.take_all()
        # Beside another call the stop reason would be `tool_use`.
        answerable = answerable and (truncated or (len(pending) == 1 and not self.sent))
        self._settle(pending, truncated=truncated, answerable=answerable)

    @property
    def has_unsent(self) -> bool:
        """Whether there are calls that are not sent yet."""
        return bool(self._pending.calls)

    @property
    def unfinished(self) -> bool:
        """Whether a call has begun and is not whole."""
        begun = self._open is not None and not self._open.complete
        return begun or bool(self._partial) or self._pending.unfinished

    def break_off(self) -> None:
        """No end will come: what is not sent stays so, and a block that is open stays open."""
        opened, self._open = self._open, None
        for call in (*self._partial, *([opened] if opened else []), *self._pending.take_all()):
            entry = call.truncated_entry(UNSENT if call.complete else TRUNCATED)
            self.notes.append(f"a call of {call.name!r} is not carried out: {entry.detail}")
            self.judged.append(entry)
        self._partial = []

    # -- calls that are passed on as they come ------------------------------------------------------------

    def _begin_open(self, step: ToolCallDelta) -> None:
        self.flush_complete()
        self._announced, self._open_index = -1, step.index
        served = step.name in self._tools.served
        self._open = PendingCall(self._ids.served() if served else self._ids.fresh(step.id), step.name)
        self._blocks.begin_tool_use(self._open.id, step.name)
        if step.arguments:
            self._open.pieces.append(step.arguments)
            self._blocks.tool_input(step.arguments)

    def _end_open(self) -> None:
        call, self._open = self._open, None
        if call is None:
            return
        self._blocks.close()
        if not call.complete:
            self._partial.append(call)
            return
        verdict = self._tools.judge(call.name, call.arguments)
        entry = call.entry(verdict)
        self._count(entry)
        self._note_structured(entry)
        if not verdict.usable:
            self.notes.append(
                f"a call of {call.name!r} was passed on while it was written, and does not fit:"
                f" {verdict.detail}"
            )

    def _record_partial(self, call: PendingCall, *, truncated: bool) -> None:
        if truncated:
            self.judged.append(call.truncated_entry())
            return
        verdict = self._tools.judge(call.name, call.arguments)
        entry = call.entry(verdict)
        if verdict.usable:
            self._count(entry)
            return
        self.judged.append(entry)
        self.fault = f"a call of {call.name!r} broke off while it was passed on: {verdict.detail}"

    # -- calls that are buffered until whole --------------------------------------------------------------

    def _settle(
        self, calls: Iterable[PendingCall], *, truncated: bool = False, answerable: bool = False
    ) -> None:
        for call in calls:
            if truncated and not call.complete:
                entry = call.truncated_entry()
                if not (answerable and self._write_as_it_is(entry, call.arguments)):
                    self._return_as_text(entry)
                continue
            verdict = self._tools.judge(call.name, call.arguments)
            if verdict.usable:
                self._send(call.entry(verdict), structured=True)
            else:
                self._repair(call, verdict, answerable=answerable)

    def _repair(self, call: PendingCall, verdict: Verdict, *, answerable: bool) -> None:
        entry = call.entry(verdict)
        found = recover_arguments(call.name, call.arguments, self._tools.schemas)
        entry.repairs += found.repairs
        if isinstance(found, Unrecovered):
            entry.detail = entry.detail or found.why
            if (misfit := misfit_call(call.name, call.arguments, self._tools.schemas)) is None:
                if not (answerable and self._write_as_it_is(entry, call.arguments)):
                    self._return_as_text(entry)
                return
            entry.name, entry.repairs = misfit.name, []
            self._note_misfit(entry)
            self._send(entry, structured=True)
            return
        entry.name, entry.input = found.name, found.verdict.input
        entry.verdict, entry.detail = found.verdict.verdict, found.verdict.detail
        self._send(entry, structured=True)

    def _write_begun(self, calls: FinalCalls) -> bool:
        """Send the one call that a text ends within, if its tool is known; False: it is none."""
        begun = begun_call(calls.calls, self._tools.schemas)
        if begun is None or self.structured_ids:
            return False
        entry = ToolCall(
            id=self._ids.fresh(),
            name=begun.name,
            raw=calls.raw,
            family=begun.family,
            repairs=["took it out of the text"],
            verdict="cut",
            detail=TRUNCATED,
        )
        return self._write_as_it_is(entry, calls.calls)

    def _write_as_it_is(self, entry: ToolCall, arguments: str) -> bool:
        """Send a call whose arguments are no JSON; False: its tool or they forbid it, and nothing is sent."""
        name = matching_name(entry.name, self._tools.schemas) or entry.name
        allowed = self._most is None or self.sent < self._most
        known = name in self._tools and name not in self._tools.served
        if not (self._streamed and known and allowed) or _is_json(arguments):
            return False
        entry.name = name
        self._note_structured(entry)
        self._blocks.begin_tool_use(entry.id, name)
        self._blocks.tool_input(arguments if arguments.strip() else _BEGUN)
        self._blocks.close()
        self.judged.append(entry)
        self.notes.append(f"a call of {name!r} was passed on for the client to answer: {entry.detail}")
        return True

    def _pass_on(self, raw: str, misfits: Iterable[MisfitCall]) -> None:
        for misfit in misfits:
            entry = ToolCall(
                id=self._ids.fresh(),
                name=misfit.name,
                raw=raw,
                family=misfit.family,
                input=misfit.verdict.input,
                repairs=["took it out of the text"],
                verdict=misfit.verdict.verdict,
                detail=misfit.verdict.detail,
            )
            if not misfit.verdict.usable:
                self._note_misfit(entry)
            self._send(entry)

    def _note_misfit(self, entry: ToolCall) -> None:
        self.notes.append(f"a call of {entry.name!r} was passed on for the client to answer: {entry.detail}")

    def _note_structured(self, entry: ToolCall) -> None:
        self.structured_ids.append(entry.id)
        self._unpaired[_meaning(entry.name, entry.input)] += 1

    def _send(self, entry: ToolCall, *, structured: bool = False) -> None:
        if self._most is not None and self.sent >= self._most:
            entry.detail = "the request forbids calls" if not self._most else "the request allows one call"
            self._return_as_text(entry)
            return
        if structured:
            self._note_structured(entry)
        if entry.name in self._tools.served:
            entry.id = self._ids.served()
        self._blocks.tool_use(entry.id, entry.name, entry.input or {})
        self._count(entry)

    def _count(self, entry: ToolCall) -> None:
        """A call is sent."""
        self.sent += 1
        self.judged.append(entry)
        if entry.name in self._tools.served:
            self.served.append(entry)

    def _return_as_text(self, entry: ToolCall) -> None:
        self._blocks.text(entry.raw)
        self.notes.append(f"a call of {entry.name!r} was returned as text: {entry.detail}")
        self.judged.append(entry)


def _meaning(name: str, tool_input: Any) -> str:
    """The same for all calls that do the same, however they are spelled."""
    try:
        return json.dumps([name, tool_input], sort_keys=True)
    except RecursionError:
        return uuid.uuid4().hex  # too deep to be compared: taken for another call than all others


def _is_json(text: str) -> bool:
    try:
        parse_json(text)
    except ValueError:
        return False
    return True
