"""Each way in which the hub denies a model is told as what it is, with what to do."""

from __future__ import annotations

import errno

import httpx2
import pytest
from huggingface_hub import constants
from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled
from huggingface_hub.utils import hf_raise_for_status

from engine.model_files import hub_errors
from engine.model_files.errors import HubError, HubModelMissing, HubUnreachable

HUB = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def of_a_machine_without_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", HUB)
    monkeypatch.setattr(hub_errors, "get_token", lambda: None)


def raised(status: int, **headers: str) -> Exception:
    """What the hub's own client raises for this answer."""
    request = httpx2.Request("GET", f"{HUB}/api/models/acme/x/revision/main")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        hf_raise_for_status(httpx2.Response(status, headers=named, request=request))
    except Exception as error:
        return error
    raise AssertionError("no error")


def caused(cause: Exception) -> Exception:
    error = LocalEntryNotFoundError("cannot find the snapshot folder")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (
            raised(403, x_error_code="GatedRepo"),
            HubModelMissing,
            f"agree to its licence at {HUB}/acme/x; log in",
        ),
        (raised(401, x_error_code="GatedRepo"), HubModelMissing, "is gated"),
        (raised(404, x_error_code="RepoNotFound"), HubModelMissing, "check the name"),
        (raised(401), HubModelMissing, "only to its users"),
        (raised(404, x_error_code="RevisionNotFound"), HubModelMissing, "no such revision"),
        (raised(403), HubModelMissing, "give the token read access"),
        (
            raised(403, x_error_message="Access to this resource is disabled."),
            HubModelMissing,
            "was disabled",
        ),
        (raised(429, retry_after="17"), HubUnreachable, "wait 17 s"),
        (raised(429), HubUnreachable, "wait some minutes"),
        (raised(503), HubUnreachable, "HTTP 503"),
        (caused(raised(500)), HubUnreachable, "HTTP 500"),
        (caused(OfflineModeIsEnabled("offline")), HubUnreachable, "HF_HUB_OFFLINE is set"),
        (OSError(errno.ENOSPC, "No space left on device"), HubUnreachable, "is full"),
        (PermissionError(errno.EACCES, "Permission denied"), HubUnreachable, "writable"),
        (httpx2.ConnectError("no route to host"), HubUnreachable, "(no route to host)"),
    ],
)
def test_a_refusal_is_told_as_what_it_is(error: Exception, kind: type[HubError], says: str) -> None:
    told = hub_errors.hub_failure("acme/x", error)
    assert type(told) is kind
    assert says in str(told)
    assert "acme/x" in str(told)
    assert "\n" not in str(told)


def test_who_is_logged_in_is_not_told_to_log_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_errors, "get_token", lambda: "a token")
    told = str(hub_errors.hub_failure("acme/x", raised(403, x_error_code="GatedRepo")))
    assert "agree to its licence" in told
    assert "log in" not in told
    wrong = raised(401, x_error_message="Invalid credentials in Authorization header")
    assert "refuses this machine's token" in str(hub_errors.hub_failure("acme/x", wrong))
