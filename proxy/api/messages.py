"""One request's life: read, recorded, translated, answered step by step, and ended with a verdict."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from starlette.types import Receive, Scope, Send

from proxy.anthropic.compaction import longest_answer
from proxy.anthropic.documents import Documents
from proxy.anthropic.lanes import RequestOrigin, identify
from proxy.anthropic.messages import MAX_BODY_BYTES, check_message_request, parse_body
from proxy.anthropic.preview import opening, preview, turns
from proxy.anthropic.project_text import working_directory
from proxy.anthropic.side_requests import purpose
from proxy.api.call_checks import NO_CHECKS, CallChecks
from proxy.api.client_side import (
    ClientLeft,
    EventStream,
    headers_of,
    read_body,
    run_while_connected,
    send_error,
    send_json,
)
from proxy.api.context_editing import edit_context
from proxy.api.observation import Observation
from proxy.api.rounds import Rounds
from proxy.api.web_tools import NO_WEB, Web, WebTools
from proxy.backends.faults import refused_feature
from proxy.backends.upstream import Backend, Broken, Dialect, Finish, UpstreamEvent
from proxy.events.causes import RESTART_REQUESTED, cause_of
from proxy.events.errors import (
    InvalidRequest,
    ProxyError,
    RequestCancelled,
    UpstreamError,
    UpstreamUnavailable,
)
from proxy.events.tool_call import ToolCall
from proxy.events.types import ErrorInfo, RequestReceived, Usage
from proxy.record.structured_calls import StructuredCalls
from proxy.record.tool_history import ToolHistory
from proxy.translate.late_tools.places import conversation_key
from proxy.translate.response import Answer
from proxy.translate.server_tools import direct_query
from proxy.translate.tools import tool_set

if TYPE_CHECKING:
    from proxy.record.recorder import Recorder, RequestRecord

log = logging.getLogger(__name__)

PING_S = 5.0  # clients show a stall after 20 s without a byte
STOPPED = "the proxy was stopped before the answer was complete; please retry"
CLIENT_CLOSED_REQUEST = 499  # nginx's status for a client that left; in records only, for any cancelled one


@dataclass(frozen=True, slots=True)
class Service:
    """What all requests share."""

    backend: Backend
    recorder: Recorder
    engine_gate: Callable[[], UpstreamError | None]
    backend_name: str
    ping_s: float = PING_S
    max_body_bytes: int = MAX_BODY_BYTES
    structured_calls: StructuredCalls = field(default_factory=StructuredCalls)
    tool_history: ToolHistory = field(default_factory=ToolHistory)
    documents: Documents = field(default_factory=Documents)
    refused: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # by model
    web: Web = NO_WEB
    checks: CallChecks = NO_CHECKS

    def dialect_for(self, model: str) -> Dialect:
        """What the backend understands, without what it has refused for this model."""
        refused: Any = dict.fromkeys(self.refused.get(model, ()), False)
        return replace(self.backend.dialect, **refused)


class MessagesEndpoint:
    """The ASGI application behind `POST /v1/messages`."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = headers_of(scope)
        fault: ProxyError | None = None
        raw, body = b"", None
        try:
            raw = await read_body(scope, receive, self._service.max_body_bytes)
            body = parse_body(raw)
        except ClientLeft:
            return
        except ProxyError as error:
            fault = error
        caller = identify(headers, body or {})
        record = self._service.recorder.begin(
            received=received(scope, caller, body or {}, len(raw), self._service.backend_name),
            query=scope.get("query_string", b"").decode("latin-1"),
            headers=headers,
            body=body if body is not None else raw.decode("utf-8", "replace"),
        )
        request = MessagesRequest(self._service, record, send)
        try:
            work = request.refuse(fault) if fault or body is None else request.run(body, caller)
            await run_while_connected(receive, work, record)
        except RequestCancelled as error:
            await request.depart(error.message, error.cause)
            await request.refuse(error)
        except ClientLeft:
            await request.depart("the client closed the connection before the answer was complete")
        except asyncio.CancelledError:
            await request.refuse(UpstreamUnavailable(STOPPED, cause="host stopped"))
            raise


def received(
    scope: Scope, caller: RequestOrigin, body: Mapping[str, Any], size: int, backend_name: str
) -> RequestReceived:
    """What the record says of a request at its arrival; `body` may be anything that is an object."""
    messages, tools, model = body.get("messages"), body.get("tools"), body.get("model")
    return RequestReceived(
        session=caller.session,
        agent=caller.agent,
        agent_type=caller.agent_type,
        prompt_id=caller.prompt_id,
        lane=caller.lane,
        model=model if isinstance(model, str) else "",
        backend=backend_name,
        method=scope["method"],
        path=scope["path"],
        stream=body.get("stream") is True,
        messages=turns(messages),
        tools=len(tools) if isinstance(tools, list) else 0,
        body_bytes=size,
        preview=preview(messages),
        opening=opening(messages),
        purpose=purpose(body, caller.lane),
        max_tokens=longest_answer(body),
        folder=working_directory(body),
    )


class MessagesRequest:
    """A request that is on record, until its client has an answer or an error."""

    def __init__(self, service: Service, record: RequestRecord, send: Send) -> None:
        self._service = service
        self._record = record
        self._send = send
        self._stream: EventStream | None = None
        self._answer_so_far: Answer | None = None

    async def run(self, body: dict[str, Any], caller: RequestOrigin) -> None:
        """Answer the request; every fault becomes an error for the client and the record."""
        try:
            check_message_request(body)
            if body.get("stream"):
                self._stream = EventStream(self._send, self._record.id, self._record.first_byte)
            async with self._pings():
                answer = await self._ask(body, caller)
            await self._complete(answer)
        except ProxyError as error:
            await self.refuse(error)
        except Exception as error:
            log.exception("request %s failed inside the proxy", self._record.id)
            reason = f"{type(error).__name__}: {error}"
            await self.refuse(ProxyError(f"the proxy failed on this request: {reason}"))

    async def refuse(self, fault: ProxyError | None) -> None:
        """Give the client an error: as a status while it has no byte yet, else as an event."""
        error = self._by_the_host(fault) if fault else InvalidRequest("the request body is empty")
        await self._record_failure(error.status, error.info)
        if self._stream is not None and self._stream.started:
            await self._stream.fail(error.info)
        else:
            self._record.first_byte()
            await send_error(self._send, error, self._record.id)

    def _by_the_host(self, fault: ProxyError) -> ProxyError:
        """A fault, or why the host ended the engine where that broke the connection to it."""
        end = self._service.engine_gate() if fault.info.cause == "engine died" else None
        if end is None:
            return fault
        cause = cause_of("", end.message)
        if cause != "engine hung" and not end.message.startswith(RESTART_REQUESTED):
            return fault
        error = UpstreamUnavailable(end.message, cause=cause)
        error.headers = end.headers
        return error

    async def depart(self, message: str, cause: str = "") -> None:
        """Record that the client has left, or that a person cancelled the request."""
        info = ErrorInfo(type="cancelled", message=message, cause=cause)
        await self._record_failure(CLIENT_CLOSED_REQUEST, info, cancelled=True)

    async def _ask(self, body: dict[str, Any], caller: RequestOrigin) -> Answer:
        """Send the request upstream and pass its answer on, all but the closing events.

        Calls of the proxy's own tools are run within the answer, which goes on in another round.
        """
        service = self._service
        fault = service.engine_gate()
        if fault is not None:
            raise fault
        body = await service.documents.read(body)
        model = await service.backend.model_name()
        dialect = service.dialect_for(model)
        earlier = service.tool_history.of(conversation_key(body))
        edited = await edit_context(body, service.backend, dialect, model, self._record.id, earlier)
        for note in edited.notes:
            self._record.note(note)
        served = tool_set(edited.body.get("tools")).served
        web = WebTools(service.web, served, edited.body)
        rounds = Rounds(
            edited,
            caller,
            model,
            self._record.id,
            service.structured_calls,
            service.tool_history,
            web.details,
        )
        query = direct_query(edited.body) if "web_search" in served and body["max_tokens"] else ""
        if query:
            answer = await self._search_directly(query, rounds.prepare(dialect).answer, web)
            if answer.stop_reason:
                return answer
            rounds.follow(answer)
        while True:
            answer = await self._run_round(rounds)
            await self._serve(answer.served_calls, answer, web)
            if not answer.served_calls or answer.stop_reason == "tool_use":
                break
            rounds.follow(answer)
        if body.get("safeguards"):
            await self._write(answer)  # a model's check takes its time
        answer.safeguards, notes = await service.checks.results(
            body, answer.message(), self._record.id, caller.session
        )
        for note in notes:
            self._record.note(note)
        return answer

    async def _run_round(self, rounds: Rounds) -> Answer:
        """Pass one answer of the upstream on, to its verdict.

        What the upstream refuses of pictures and limits of thinking is left out, now and from then on.

        Raises:
            UpstreamError: it has none.
        """
        service, model = self._service, rounds.model
        while True:
            current = rounds.prepare(service.dialect_for(model))
            answer = self._answer_so_far = current.answer
            self._record.upstream(current.request.body, model)
            for note in current.notes:
                self._record.note(note)
            observation = Observation(self._record, answer)
            try:
                async with aclosing(service.backend.stream(current.request)) as arrivals:
                    async for steps in arrivals:
                        await self._pass_on(steps, answer, observation)
            except UpstreamError as error:
                await self._pass_on([Broken(error)], answer, observation)
            feature = refused_feature(answer.fault) if answer.fault and not answer.produced else ""
            if answer.fault is None or not feature or not getattr(service.dialect_for(model), feature):
                break
            service.refused[model].add(feature)
            self._record.note(f"asked again without {feature}: {answer.fault.message}")
        if answer.structured_ids:
            service.structured_calls.remember(rounds.caller.session, answer.structured_ids)
        if answer.fault is not None:
            raise answer.fault
        if not answer.stop_reason:
            raise UpstreamUnavailable(
                "the upstream ended without a verdict; please retry", cause="connection lost"
            )
        return answer

    async def _search_directly(self, query: str, answer: Answer, web: WebTools) -> Answer:
        """Run the search that is all of a request; without a result the answer ends with a sentence on it."""
        self._answer_so_far = answer
        call = ToolCall(id=f"srvtoolu_{uuid.uuid4().hex[:24]}", name="web_search", input={"query": query})
        answer.call(call)
        await self._serve([call], answer, web)
        if call.is_error:
            answer.end(f"The search was not run: {web.details[call.id]}.")
            await self._pass_on([], answer, Observation(self._record, answer))
        return answer

    async def _serve(self, calls: list[ToolCall], answer: Answer, web: WebTools) -> None:
        """Run calls of the proxy's own tools, one after the other, and pass their results on."""
        observation = Observation(self._record, answer)
        if calls:
            await self._pass_on([], answer, observation)  # the client sees what is being searched for
        for call in calls:
            result = await web.run(call)
            answer.add_result(result.block)
            answer.server_uses[call.name] += not result.fault
            await self._pass_on([], answer, observation)
            self._record.served(call, result.text, is_error=bool(result.fault), duration_s=result.duration_s)
        while web.notes:
            self._record.note(web.notes.pop(0))

    async def _pass_on(self, steps: list[UpstreamEvent], answer: Answer, observation: Observation) -> None:
        """Let the client have what the steps add to the answer, and put them on record."""
        for step in steps:
            if isinstance(step, Finish):
                await self._write(answer)
            answer.feed(step)
        started = self._stream is not None and self._stream.started
        # The end of the last block goes with the usage: by then Claude Code takes the message for complete.
        if not (answer.stop_reason and started) or answer.served_calls:
            await self._write(answer)
        observation.take(steps)

    async def _write(self, answer: Answer) -> None:
        """Let the client have what is new of the answer."""
        data = answer.take()
        # A client that has no byte yet gets a fault as a status, which it repeats the request for.
        if data and self._stream is not None and (answer.fault is None or self._stream.started):
            await self._stream.write(data)

    @asynccontextmanager
    async def _pings(self) -> AsyncIterator[None]:
        """Pings for a client that has asked for a stream."""
        if self._stream is None:
            yield
            return
        pinging = asyncio.create_task(self._stream.keep_alive(self._service.ping_s))
        try:
            yield
        finally:
            pinging.cancel()

    async def _complete(self, answer: Answer) -> None:
        """Put the answer on record, and only then let the client see its end."""
        await self._record.finished(
            status=200, message=answer.message(), stop_reason=answer.stop_reason, usage=answer.usage
        )
        if self._stream is not None:
            await self._stream.end(answer.take() + answer.closing())
        else:
            self._record.first_byte()
            await send_json(self._send, 200, answer.message(), self._record.id)

    async def _record_failure(self, status: int, info: ErrorInfo, *, cancelled: bool = False) -> None:
        answer = self._answer_so_far
        message = answer.message() if answer is not None and answer.begun else None
        usage, estimated = Usage(), ""
        if answer is not None:
            usage, estimated = answer.interrupted_usage(cancelled=cancelled)
        await self._record.failed(
            status=status, error=info, message=message, usage=usage, cancelled=cancelled, estimated=estimated
        )
