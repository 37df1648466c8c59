"""The screen's side of the host API: state, traces, and what a person may ask of host and engine."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Hashable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import quote

import httpx
import orjson
from pydantic import TypeAdapter

from engine.options.kinds import printable
from proxy.backends.plain_http import PlainTransport
from proxy.changes.change_facts import Changed, LiveSetting, LiveSettings, LocalModelList
from proxy.configuration.destination import without_password
from proxy.configuration.known_backends import backend_kind
from proxy.events.cache_facts import CacheDone, CacheHoldings
from proxy.events.types import Event, HostState

if TYPE_CHECKING:  # what one request needs is imported with it: most commands ask for the state alone
    from proxy.traces.analysis.comparing.diff_facts import DiffFacts
    from proxy.traces.analysis.context_facts import ContextBudget
    from proxy.traces.analysis.why_facts import Why
    from proxy.traces.listing.calls_page import CallPage
    from proxy.traces.listing.histogram import Histogram
    from proxy.traces.listing.turns import SessionTurns
    from proxy.traces.listing.usage_sums import UsageSums
    from proxy.traces.schema import Trace, TracePage
    from tui.client.asking import WholeAnswer

TIMEOUT_S = 10.0
_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")

_Model = TypeVar("_Model")


class HostError(Exception):
    """The host could not be reached or did not answer as it should; its text is for people."""


class BadId(HostError):
    """Nothing can have such an id: the host was not asked."""


class HostClient:
    """Talks to one host; `url` is its address without a path, for people: without a password.

    Every method raises `HostError` when there is no good answer.
    """

    def __init__(
        self, url: str, token: str = "", *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.url = without_password(url.rstrip("/"))
        headers = {"authorization": f"Bearer {token}"} if token else {}
        # Loading certificates takes 30 ms and more; a host on this machine has none.
        verify = self.url.startswith("https:")
        # Proxy settings of the environment must not lead requests for this machine away from it.
        self.http = httpx.AsyncClient(
            base_url=url.rstrip("/"),
            headers=headers,
            timeout=TIMEOUT_S,
            verify=verify,
            # httpx's own raises AttributeError where a host that ends closes the connection at once.
            transport=transport or (None if verify else PlainTransport()),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self.http.aclose()

    async def state(self) -> HostState:
        """The host's own account of itself."""
        try:
            async with asyncio.timeout(TIMEOUT_S):  # httpx's begins anew with each byte that drips in
                answer = await self._ask("GET", "/anyclaude/state")
        except TimeoutError:
            raise HostError(f"{self.url}: no answer in time") from None
        try:
            return HostState.model_validate_json(answer.content)
        except ValueError as error:
            raise HostError(
                f"{self.url} does not answer like an anyclaude host: {_first_line(error)}"
            ) from None

    async def state_with_window(self) -> HostState:
        """The state, after the host has asked its upstream for the model and its context window."""
        state = await self.state()
        if (state.model and state.engine.context_tokens) or backend_kind(state.backend) != "openai":
            return state
        with suppress(HostError):  # the list of models names both, if anything does
            await self._ask("GET", "/v1/models")
        return await self.state()

    async def traces(
        self,
        limit: int = 100,
        offset: int = 0,
        query: str = "",
        *,
        sort: str = "time",
        reverse: bool = False,
        around: str = "",
        since: float = 0.0,
    ) -> TracePage:
        """A page of traces behind the first `offset` ones, newest first or by a figure.

        `around` asks for that page which has a trace (its id) or a moment (epoch seconds), and for its place.
        """
        from proxy.traces.schema import TracePage

        params = {"limit": str(limit)} | ({"around": around} if around else {"offset": str(offset)})
        params |= {"q": query} if query else {}
        params |= {"sort": sort} if sort != "time" else {}
        params |= {"reverse": "1"} if reverse else {}
        params |= {"from": repr(since)} if since else {}
        answer = await self._ask("GET", "/anyclaude/traces", params=params)
        page = _whole(TracePage, answer, "the list of traces")
        return page if around else page.model_copy(update={"offset": offset})

    async def histogram(self, query: str = "", *, since: float = 0.0, parts: int = 60) -> Histogram:
        """When traces came, and when those that fit, since a moment or the oldest one."""
        from proxy.traces.listing.histogram import Histogram

        params = {"parts": str(parts)} | ({"q": query} if query else {})
        params |= {"from": repr(since)} if since else {}
        answer = await self._ask("GET", "/anyclaude/traces/histogram", params=params)
        return _whole(Histogram, answer, "when traces came")

    async def calls(
        self, limit: int = 100, query: str = "", *, failed: bool = False, since: float = 0.0
    ) -> CallPage:
        """The newest tool calls of the requests that fit, or those of them that failed."""
        from proxy.traces.listing.calls_page import CallPage

        params = {"limit": str(limit)} | ({"q": query} if query else {}) | ({"failed": "1"} if failed else {})
        params |= {"from": repr(since)} if since else {}
        answer = await self._ask("GET", "/anyclaude/calls", params=params)
        return _whole(CallPage, answer, "the list of calls")

    async def usage(self, since: float = 0.0) -> UsageSums:
        """What the prompts from this moment on restored and prefilled."""
        from proxy.traces.listing.usage_sums import UsageSums

        answer = await self._ask("GET", "/anyclaude/usage", params={"from": repr(since)} if since else {})
        return _whole(UsageSums, answer, "the sums of the prompts")

    async def fields(self, path: str, **params: str) -> dict[str, Any]:
        """The JSON object that a path answers with, as it came."""
        return _fields(await self._ask("GET", path, params=params))

    async def history(self, limit: int) -> list[Event]:
        """The newest requests from before the events that the host still has, as events."""
        answer = await self._ask("GET", "/anyclaude/history", params={"limit": str(limit)})
        try:
            return [Event.model_validate(event) for event in answer.json()["events"]]
        except (ValueError, KeyError, TypeError) as error:
            raise HostError(f"the history could not be read: {_first_line(error)}") from None

    async def trace(self, trace_id: str) -> Trace:
        """One trace, whole."""
        from proxy.traces.schema import Trace

        answer = await self._ask("GET", f"/anyclaude/traces/{_part(trace_id, 'traces')}")
        return _whole(Trace, answer, f"trace {trace_id}")

    async def brief_trace(self, trace_id: str) -> Trace:
        """One trace without the bodies of its request."""
        from proxy.traces.schema import Trace

        answer = await self._ask(
            "GET", f"/anyclaude/traces/{_part(trace_id, 'traces')}", params={"brief": "1"}
        )
        return _whole(Trace, answer, f"trace {trace_id}")

    async def why(self, trace_id: str) -> Why:
        """What explains a request that is at its end."""
        from proxy.traces.analysis.why_facts import Why

        answer = await self._ask("GET", f"/anyclaude/traces/{_part(trace_id, 'traces')}/why")
        return _whole(Why, answer, "the explanation")

    async def turns(self, trace_id: str) -> SessionTurns:
        """The requests of its session around a request that is at its end."""
        from proxy.traces.listing.turns import SessionTurns

        answer = await self._ask("GET", f"/anyclaude/traces/{_part(trace_id, 'traces')}/turns")
        return _whole(SessionTurns, answer, "the session's turns")

    async def context(self, session: str, at: str = "") -> ContextBudget:
        """What fills the context window of a session at its newest request, or at its request `at`."""
        from proxy.traces.analysis.context_facts import ContextBudget

        path = f"/anyclaude/sessions/{_session_part(session)}/context"
        answer = await self._ask("GET", path, params={"at": at} if at else {})
        return _whole(ContextBudget, answer, "the context")

    async def diff(self, b: str, a: str = "") -> DiffFacts:
        """Where the prompt of `b` parts from that of `a`, or of the request before it in its session."""
        from proxy.traces.analysis.comparing.diff_facts import DiffFacts

        params = {"with": a} if a else {}
        answer = await self._ask("GET", f"/anyclaude/traces/{_part(b, 'traces')}/diff", params=params)
        return _whole(DiffFacts, answer, "the comparison")

    async def cache(self) -> CacheHoldings:
        """What the engine's prefix cache holds, and what was evicted from it."""
        return _whole(CacheHoldings, await self._ask("GET", "/anyclaude/cache"), "what the cache holds")

    async def change_cache_entry(self, action: str, entry: str) -> CacheDone:
        """`pin`, `unpin` or `drop` the entry whose id begins so."""
        answer = await self._ask("POST", f"/anyclaude/cache/{_part(entry, 'the cache')}/{action}")
        return _whole(CacheDone, answer, f"the answer to the {action}")

    async def flush_cache(self, tier: str = "both") -> CacheDone:
        """Remove all but what is pinned from `memory`, `disk` or `both`."""
        answer = await self._ask("POST", "/anyclaude/cache/flush", params={"tier": tier})
        return _whole(CacheDone, answer, "the answer to the flush")

    async def answering_models(self) -> list[str]:
        """The models that a request to this host may name; where one answers all of them, that one."""
        state = await self.state()
        if backend_kind(state.backend) != "claude":
            return [state.model or state.engine.model or state.backend]
        listed = _fields(await self._ask("GET", "/v1/models", params={"limit": "1000"})).get("data")
        rows = listed if isinstance(listed, list) else []
        return list(dict.fromkeys(str(row.get("id")) for row in rows if isinstance(row, dict)))

    async def ask_again(self, body: Mapping[str, Any], query: str) -> WholeAnswer:
        """Ask for one answer in one piece; it takes as long as it takes."""
        from tui.client.asking import ask_whole

        return await ask_whole(self, body, sender="replay", query=query)

    async def cancel(self, request_id: str) -> str:
        """End the running request whose id begins so; returns its id."""
        answer = await self._ask("POST", f"/anyclaude/requests/{_part(request_id, 'requests')}/cancel")
        return str(_fields(answer).get("cancelling", ""))

    async def restart_engine(self, *, drain: bool = False) -> int:
        """Restart the engine now, or after the requests that run; returns how many it waits for."""
        answer = await self._ask("POST", "/anyclaude/engine/restart", params={"drain": "1"} if drain else {})
        return int(_fields(answer).get("running", 0))

    async def models(self) -> LocalModelList:
        """The models of the host's machine."""
        return _whole(LocalModelList, await self._ask("GET", "/anyclaude/models"), "the list of models")

    async def use_model(self, model: str, *, drain: bool = True) -> Changed:
        """Load another model, by its name or path there, after the requests that run or now."""
        wish = {"model": model, "drain": drain}
        return _whole(Changed, await self._ask("POST", "/anyclaude/model", json=wish), "the answer")

    async def settings(self, *, settled: bool = False) -> list[LiveSetting]:
        """The settings that can be changed while the host runs; `settled`: see docs/architecture.md."""
        answer = await self._ask("GET", "/anyclaude/settings", params={"settled": "1"} if settled else {})
        return _whole(LiveSettings, answer, "the settings").settings

    async def settled_setting(self, key: str) -> LiveSetting | None:
        """The setting, once an engine has come up with its value, or none is tried any more."""
        while True:
            listed = await self.settings(settled=True)
            setting = next((one for one in listed if one.key == key), None)
            if setting is None or not setting.awaited:
                return setting

    async def change(self, changes: Mapping[str, Any], *, drain: bool = True) -> Changed:
        """Change settings by their keys; None takes one back to its default."""
        wish = {"changes": dict(changes), "drain": drain}
        return _whole(Changed, await self._ask("POST", "/anyclaude/settings", json=wish), "the answer")

    async def stop(self, *, now: bool = False) -> None:
        """End the host after the requests that run, or now."""
        await self._ask("POST", "/anyclaude/stop", params={"now": "1"} if now else {})

    async def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            answer = await self.http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise HostError(f"{self.url}: {describe(error)}") from None
        if answer.status_code >= 400:
            raise HostError(refusal(answer.status_code, answer.text))
        return answer


async def host_state(url: str, token: str = "", *, with_window: bool = False) -> HostState:
    """The state of the host on `url`, by a connection of its own; `with_window` as in `state_with_window`.

    Raises:
        HostError: no host answers there as it should.
    """
    client = HostClient(url, token)
    try:
        return await (client.state_with_window() if with_window else client.state())
    finally:
        await client.close()


def _part(text: str, of: str) -> str:
    """An id as a part of a path; a "/" or ".." in it would make another path of it.

    Raises:
        BadId: no id is such a text.
    """
    if not _ID.fullmatch(text):
        given = f'"{printable(text, 80)}"' if text else "an empty text"
        raise BadId(f"{given} is no id: those of {of} have letters, digits, _ and - alone")
    return text


def _session_part(text: str) -> str:
    """The id of a session, which clients choose: it may have any sign.

    Raises:
        BadId: it is empty, or stands for a folder in a path.
    """
    if text.strip(".") == "":
        raise BadId(f"{text or 'an empty text'} is no id of a session")
    return quote(text, safe="")


def _whole(model: type[_Model], answer: httpx.Response, what: str) -> _Model:
    """The host's answer as such a model; `what` it is, for the error."""
    adapter = _adapter(cast("Hashable", model))
    try:
        return cast("_Model", adapter.validate_json(answer.content))
    except ValueError as error:
        with suppress(ValueError):  # a trace may go deeper than the 200 levels that pydantic parses
            return cast("_Model", adapter.validate_python(orjson.loads(answer.content)))
        raise HostError(f"{what} could not be read: {_first_line(error)}") from None


@lru_cache(maxsize=32)
def _adapter(model: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast("Any", model))  # of dataclasses it takes a while to make


def _fields(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise HostError("the host's answer could not be read")
    return body


def describe(error: Exception) -> str:
    """A connection error in words."""
    match error:
        case httpx.ConnectError():
            return "nothing listens there"
        case httpx.TimeoutException():
            return "no answer in time"
        case httpx.RemoteProtocolError() | httpx.ReadError():
            return "the connection broke"
        case _:
            return _first_line(error)


def refusal(status: int, body: str) -> str:
    """An HTTP error in words: the host's own message where it gives one, alone for a 400 or 404."""
    if status in (401, 403):
        return f"HTTP {status}: the host asks for its token"
    try:
        detail = httpx.Response(status, content=body).json()
        message = detail.get("error", {}).get("message") or detail.get("detail")
    except (ValueError, AttributeError):
        message = None
    if message and status in (400, 404):
        return str(message)
    return f"HTTP {status}: {message or _first_line(body) or 'no message'}"


def _first_line(error: object) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
