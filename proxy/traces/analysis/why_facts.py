"""What explains one request, as the host API has it; found by `proxy.traces.analysis.why`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from proxy.events.types import CacheMiss, ErrorInfo

Verdict = Literal["failed", "cancelled", "slow", "missed", "usual"]
PhaseName = Literal[
    "sending",
    "waiting",  # for other prompts to be rendered, and in the prefill queue
    "template",
    "tokenizing",
    "grammar",
    "lookup",
    "restore",
    "prefill",
    "first token",
    "upstream",  # up to its first token, where it does not say more
    "decode",
    "silence",  # in its place, where an answer broke off: nothing came any more
    "finishing",
]


class Phase(BaseModel):
    """A stretch of a request, in seconds from its arrival."""

    name: PhaseName
    start: float
    seconds: float


class Ahead(BaseModel):
    """Another request that ran while this one waited, and for how much of that time."""

    id: str
    session: str
    lane: str
    seconds: float


class Repeat(BaseModel):
    """What became of a request that failed: the client's last try of it."""

    id: str
    after_s: float  # from the end of the failed one
    failed: bool
    times: int = 1  # that it was tried again, of which all but the last one failed
    runs: bool = False  # the last one does, so no trace tells its end


class Usual(BaseModel):
    """Medians of like requests before it: same lane, a prompt of about its size."""

    of: Literal["session", "model"]
    requests: int
    took_s: float
    ttft_s: float
    speed: float | None = None  # tokens a second while they wrote; None where none of them tells


class Why(BaseModel):
    """What explains one request."""

    trace: str
    time: float = 0.0  # when it came, epoch seconds; 0: not told
    session: str = ""
    lane: str = "main"
    agent_type: str = ""
    purpose: str = ""  # of a side request
    verdict: Verdict
    took_s: float | None = None
    ttft_s: float | None = None
    phases: list[Phase] = []
    longest: PhaseName | None = None
    prompt_tokens: int = 0
    restored_tokens: int = 0
    tier: Literal["memory", "disk", "none", "unknown"] = "unknown"  # that they came from
    lost_tokens: int = 0  # that an earlier request of the session had computed already
    lost_s: float | None = None  # what they took, by this prompt's own prefill speed
    miss: CacheMiss | None = None
    output_tokens: int = 0
    speed: float | None = None
    ahead: list[Ahead] = []  # longest first
    usual: Usual | None = None
    error: ErrorInfo | None = None
    repeat: Repeat | None = None
