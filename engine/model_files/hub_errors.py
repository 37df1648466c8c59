"""What to do when a model cannot be downloaded, by the hub's own words.

The hub names the reason in the header `X-Error-Code`, which `huggingface_hub` turns into exceptions. A model
that has moved is no error: the hub redirects to its new name.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from huggingface_hub import constants, get_token
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from engine.model_files.errors import HubError, HubModelMissing, HubUnreachable, first_line

_KEPT = "what has arrived is kept"


def hub_failure(hub_id: str, error: Exception) -> HubError:
    """The engine's error for an exception of `huggingface_hub.snapshot_download`."""
    for cause in _chain(error):
        if (known := _known(hub_id, cause)) is not None:
            return known
    return HubUnreachable(
        f"{hub_id} could not be downloaded ({first_line(error)}); check the connection and try again"
        f" ({_KEPT}), or name a local folder"
    )


def _known(hub_id: str, error: BaseException) -> HubError | None:
    if isinstance(error, HFValidationError):
        return HubModelMissing(f"there is no folder {hub_id}, and it is no hub id; check the name")
    if isinstance(error, OfflineModeIsEnabled):
        partly = " only a part of" if os.path.isdir(_folder_of(hub_id)) else " no copy of"
        return HubUnreachable(
            f"HF_HUB_OFFLINE is set, and the hub's cache has{partly} {hub_id}; unset it for one start, or"
            " name a local folder"
        )
    if isinstance(error, HfHubHTTPError):
        words = refusal(hub_id, error, constants.ENDPOINT, has_token=bool(get_token()))
        denied = isinstance(error, RepositoryNotFoundError | RevisionNotFoundError | DisabledRepoError)
        denied |= error.response is not None and error.response.status_code in (401, 403, 404)
        return HubModelMissing(words) if denied else HubUnreachable(f"{words} ({_KEPT})")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return HubUnreachable(
            f"the disk of {constants.HF_HUB_CACHE} is full, so {hub_id} is not complete ({_KEPT}); make room,"
            " or move the cache with HF_HOME, and start again"
        )
    if isinstance(error, PermissionError):
        return HubUnreachable(
            f"{hub_id} cannot be saved ({first_line(error)}); make {constants.HF_HUB_CACHE} writable, or move"
            " the cache with HF_HOME"
        )
    return None


def refusal(hub_id: str, error: HfHubHTTPError, endpoint: str, *, has_token: bool) -> str:
    """Why the hub at `endpoint` does not give a model, and what to do; one line.

    `has_token`: this machine has a token for the hub.
    """
    page = f"{endpoint}/{hub_id}"
    login = "log in with `hf auth login`, or set HF_TOKEN"
    match error:
        case GatedRepoError():
            how = "your account has no access yet" if has_token else login
            return f"{hub_id} is gated: agree to its licence at {page}; {how}, then try again"
        case DisabledRepoError():
            return f"{hub_id} was disabled by the hub, see {page}; take another model"
        case RevisionNotFoundError():
            return f"{hub_id} has no such revision; see {page}/tree/main"
        case RepositoryNotFoundError():
            private = "your account may not see it" if has_token else f"it is private ({login})"
            return f"{endpoint} has no model {hub_id}, or {private}; check the name"
    response = error.response
    match response.status_code if response is not None else 0:
        case 404:
            return f"{endpoint} has no model {hub_id}, or is no hub; check the name, and HF_ENDPOINT"
        case 401 if has_token:
            return f"{endpoint} refuses this machine's token for {hub_id}; make a new one, then {login}"
        case 401:
            return f"{endpoint} gives {hub_id} only to its users; {login}"
        case 403:
            return f"{endpoint} forbids {hub_id} to this machine's token; give the token read access"
        case 429:
            wait = response.headers.get("retry-after", "")
            after = f"{wait} s" if wait.isdecimal() else "some minutes"
            return f"{endpoint} has had too many requests for {hub_id}; wait {after}, then try again"
        case status:
            return f"{endpoint} answered HTTP {status} for {hub_id}; try again later"


def _folder_of(hub_id: str) -> str:
    return os.path.join(constants.HF_HUB_CACHE, f"models--{hub_id.replace('/', '--')}")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and its causes, the first cause first: it says most."""
    causes: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in causes:
        causes.append(current)
        current = current.__cause__
    yield from reversed(causes)
