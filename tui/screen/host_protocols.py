"""What the control center asks of its host: of the process, and of its API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.changes.change_facts import Changed, LiveSetting, LocalModelList
    from proxy.events.cache_facts import CacheDone, CacheHoldings
    from proxy.traces.analysis.comparing.diff_facts import DiffFacts
    from proxy.traces.analysis.context_facts import ContextBudget
    from proxy.traces.analysis.why_facts import Why
    from proxy.traces.listing.calls_page import CallPage
    from proxy.traces.listing.histogram import Histogram
    from proxy.traces.listing.turns import SessionTurns
    from proxy.traces.listing.usage_sums import UsageSums
    from proxy.traces.schema import Trace, TracePage
    from tui.client.asking import WholeAnswer


class OwnedHost(Protocol):
    """The process that the control center owns when it is not attached (`tui.client.host_process`)."""

    url: str

    @property
    def exit_code(self) -> int | None: ...

    @property
    def last_words(self) -> list[str]: ...

    async def start(self) -> str: ...

    async def wait(self) -> int: ...

    async def stop(self) -> int | None: ...


class HostApi(Protocol):
    """The host's API besides its events (`tui.client.host_client.HostClient`)."""

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
    ) -> TracePage: ...

    async def histogram(self, query: str = "", *, since: float = 0.0, parts: int = 60) -> Histogram: ...

    async def calls(
        self, limit: int = 100, query: str = "", *, failed: bool = False, since: float = 0.0
    ) -> CallPage: ...

    async def usage(self, since: float = 0.0) -> UsageSums: ...

    async def trace(self, trace_id: str) -> Trace: ...

    async def brief_trace(self, trace_id: str) -> Trace: ...

    async def why(self, trace_id: str) -> Why: ...

    async def turns(self, trace_id: str) -> SessionTurns: ...

    async def diff(self, b: str, a: str = "") -> DiffFacts: ...

    async def context(self, session: str, at: str = "") -> ContextBudget: ...

    async def answering_models(self) -> list[str]: ...

    async def ask_again(self, body: Mapping[str, Any], query: str) -> WholeAnswer: ...

    async def restart_engine(self, *, drain: bool = False) -> int: ...

    async def cache(self) -> CacheHoldings: ...

    async def change_cache_entry(self, action: str, entry: str) -> CacheDone: ...

    async def flush_cache(self, tier: str = "both") -> CacheDone: ...

    async def cancel(self, request_id: str) -> str: ...

    async def models(self) -> LocalModelList: ...

    async def use_model(self, model: str, *, drain: bool = True) -> Changed: ...

    async def settings(self) -> list[LiveSetting]: ...

    async def settled_setting(self, key: str) -> LiveSetting | None: ...

    async def change(self, changes: Mapping[str, Any], *, drain: bool = True) -> Changed: ...

    async def stop(self, *, now: bool = False) -> None: ...
