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
    if isinstance(error, GatedRepoError):
        page = f"{constants.ENDPOINT}/{hub_id}"
        login = "" if get_token() else ", log in with `hf auth login`"
        return HubModelMissing(f"{hub_id} is gated: accept its licence at {page}{login} and try again")
    if isinstance(error, DisabledRepoError):
        return HubModelMissing(f"the hub has disabled {hub_id}; take another copy of this model")
    if isinstance(error, RepositoryNotFoundError | RevisionNotFoundError | HFValidationError):
        return HubModelMissing(
            f"there is no folder {hub_id}, and the hub has no such model or keeps it private;"
            " check the name, or log in with `hf auth login`"
        )
    if isinstance(error, OfflineModeIsEnabled):
        partly = " only a part of" if os.path.isdir(_folder_of(hub_id)) else " no copy of"
        return HubUnreachable(
            f"HF_HUB_OFFLINE is set, and the hub's cache has{partly} {hub_id}; unset it for one start, or"
            " name a local folder"
        )
    if isinstance(error, HfHubHTTPError):
        return _refused(hub_id, error)
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


def _refused(hub_id: str, error: HfHubHTTPError) -> HubError | None:
    status = error.response.status_code
    if status == 401 and not get_token():
        return HubModelMissing(f"the hub gives {hub_id} only to its users; log in with `hf auth login`")
    if status == 401:
        return HubModelMissing(
            f"the hub refuses this machine's token for {hub_id}; log in again with `hf auth login`, or unset"
            " HF_TOKEN"
        )
    if status == 403:
        return HubModelMissing(
            f"the hub forbids {hub_id} to this machine's token; give the token read access, or log in with"
            " another one: `hf auth login`"
        )
    if status == 429:
        wait = error.response.headers.get("retry-after", "")
        after = f" in {wait} s" if wait.isdecimal() else " in some minutes"
        return HubUnreachable(
            f"the hub limits this address's requests, so {hub_id} was not downloaded; try again{after}"
            f" ({_KEPT}); the limit is higher after `hf auth login`"
        )
    if status >= 500:
        return HubUnreachable(
            f"the hub has a fault of its own (HTTP {status}), so {hub_id} was not downloaded; try again later"
            f" ({_KEPT})"
        )
    return None


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
