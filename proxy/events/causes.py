"""Why a request failed, in a few words for people.

The error's type is for clients, and one type stands for many causes: `overloaded_error` is what makes Claude
Code repeat a request, be it that the engine died or that no upstream listens. Faults of ours carry their
cause (`proxy.events.errors`); here it is read from the words of all others: another server's errors, and
traces of earlier versions. Free of pydantic, which the screen's first frame does not wait for.
"""

from __future__ import annotations

import re

CANCELLED_BY_YOU = "cancelled by you"  # on the host, by its API
RESTART_REQUESTED = "the engine was stopped because a restart was requested"
"""The last exit of an engine that a person restarted."""
HOST_ENDS = "the host is being stopped: nothing changes any more"
"""Why a change, a switch or a restart is refused."""

# Causes that say something about the upstream, not about the request.
UPSTREAM_FAULTS = frozenset(
    {
        "no upstream",
        "upstream silent",
        "upstream not ready",
        "upstream failed",
        "upstream overloaded",
        "connection lost",
        "answer broken off",
        "rate limited",
        "key refused",
        "no such model",
        "no model there",
    }
)
# Causes that say something about the engine of this host.
ENGINE_FAULTS = frozenset(
    {
        "engine died",
        "engine hung",
        "engine failed",
        "engine starting",
        "engine stopped",
        "engine restarting",
        "engine unreachable",
        "engine silent",
        "engine not ready",
        "upstream not ready",
        "connection lost",
        "answer broken off",
    }
)
# Causes that are found when the prompt is counted.
TOO_LONG = frozenset({"prompt too long", "max_tokens too large"})

_BY_WORDS = tuple(
    (re.compile(pattern, re.IGNORECASE), cause)
    for pattern, cause in (
        (r"prompt is too long|context (length|size|window).{0,40}exceed", "prompt too long"),
        (r"exceed context limit", "max_tokens too large"),
        (r"requests wait already", "queue full"),
        (r"engine (made no progress|did not answer) for", "engine hung"),
        (r"the engine is (starting|loading)|not up yet", "engine starting"),
        (r"the engine is (stopped|shutting down)", "engine stopped"),
        (r"is being restarted|the engine restarts", "engine restarting"),
        (r"the engine failed", "engine failed"),
        (r"connection to the engine was lost|the engine (ended|exited|broke off)", "engine died"),
        (r"cannot be reached", "no upstream"),
        (r"has been silent", "upstream silent"),
        (r"connection to .* was lost|broke off", "connection lost"),
        (r"(host is being|proxy was) stopped", "host stopped"),
    )
)
_STEM = 5  # letters of a word that are the same in its other forms: restarting, restarted
_OVERFLOW = re.compile(r"prompt is too long: (\d+) tokens|exceed context limit: (\d+)")
_BY_TYPE = {
    "overloaded_error": "upstream overloaded",
    "rate_limit_error": "rate limited",
    "authentication_error": "key refused",
    "permission_error": "not allowed",
    "billing_error": "not paid",
    "not_found_error": "not found",
    "request_too_large": "request too large",
    "invalid_request_error": "invalid request",
    "timeout_error": "upstream silent",
    "api_error": "upstream failed",
}


def cause_of(type: str, message: str) -> str:
    """The cause that an error's message names, else what its type stands for; an unknown type is its own."""
    found = next((cause for pattern, cause in _BY_WORDS if pattern.search(message)), "")
    return found or _BY_TYPE.get(type, type)


def with_cause(cause: str, message: str) -> str:
    """The message behind its cause; alone where it says the cause by itself ("the engine is starting; …")."""
    told = [word.casefold() for word in re.findall(r"\w+", message)]
    words = [word[:_STEM].casefold() for word in re.findall(r"\w+", cause)]
    if message and all(any(one.startswith(word) for one in told) for word in words):
        return message
    return f"{cause}: {message}" if message else cause


def is_engine_fault(cause: str) -> bool:
    """Whether a cause says something about the engine; it may end with a note in brackets."""
    return cause.partition(" (")[0] in ENGINE_FAULTS


def end_of_cancelled(cause: str) -> str:
    """Who ended a cancelled request, as the beginning of a sentence."""
    return "you cancelled it" if cause == CANCELLED_BY_YOU else "the client left"


def overflow_tokens(message: str) -> int:
    """The tokens of a prompt that was too long, from the message that says so; 0 where it does not."""
    found = _OVERFLOW.search(message)
    return int(found[1] or found[2]) if found else 0
