from __future__ import annotations

import inspect

import pytest

from proxy.events import errors
from proxy.events.errors import (
    ContextOverflow,
    NotFound,
    ProxyError,
    UpstreamError,
    UpstreamFailed,
    UpstreamRateLimited,
    UpstreamUnavailable,
    error_body,
)


def all_errors() -> list[type[ProxyError]]:
    found = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    return [kind for kind in found if issubclass(kind, ProxyError)]


@pytest.mark.parametrize("kind", all_errors())
def test_every_error_has_its_place_in_the_tree_of_the_docstring(kind: type[ProxyError]) -> None:
    assert kind.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("kind", [kind for kind in all_errors() if issubclass(kind, UpstreamError)])
def test_an_upstream_fault_never_starts_an_account_login(kind: type[ProxyError]) -> None:
    assert kind.status not in (401, 403)


@pytest.mark.parametrize(("asked", "told"), [(0.0, "1"), (0.2, "1"), (2.0, "2"), (2.1, "3"), (900.0, "60")])
def test_retry_after_is_whole_seconds_that_clients_will_wait(asked: float, told: str) -> None:
    assert UpstreamUnavailable("loading", retry_after_s=asked).headers == {"retry-after": told}
    assert UpstreamRateLimited("slow down", retry_after_s=asked).headers == {"retry-after": told}


def test_an_overflow_is_worded_so_that_the_client_compacts() -> None:
    error = ContextOverflow(212345, 131072)
    assert (error.status, error.type) == (400, "invalid_request_error")
    assert error.message == (
        "prompt is too long: 212345 tokens > 131072 maximum (capability_rejected: prompt_too_long)"
    )


def test_where_only_the_answers_limit_does_not_fit_the_client_is_told_to_lower_it() -> None:
    error = ContextOverflow(14600, 32768, max_tokens=128000)
    assert error.message == "input length and `max_tokens` exceed context limit: 14600 + 128000 > 32768"


def test_a_prompt_that_fills_the_window_by_itself_is_too_long_whatever_the_answers_limit() -> None:
    assert ContextOverflow(40000, 32768, max_tokens=128000).message.startswith("prompt is too long: 40000")


def test_a_fault_that_no_retry_mends_says_so() -> None:
    assert UpstreamFailed("wrong key", retry=False).headers == {"x-should-retry": "false"}
    assert UpstreamFailed("crashed").headers == {}


def test_the_error_body_has_anthropics_shape() -> None:
    assert error_body(NotFound("no such model").info, "req_1") == {
        "type": "error",
        "error": {"type": "not_found_error", "message": "no such model"},
        "request_id": "req_1",
    }


def test_an_overflow_of_unknown_size_tells_no_numbers() -> None:
    assert ContextOverflow().message == "prompt is too long (capability_rejected: prompt_too_long)"
