"""One connection to a host's feed, for commands."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import httpx

from tui.client.feed import SILENCE_S, sse_data
from tui.client.host_client import HostClient, HostError, refusal


async def read_events(client: HostClient, since: int) -> AsyncGenerator[bytes]:
    """The JSON of each event after `since`, until the host ends the stream.

    Raises:
        HostError: the host refuses.
        httpx.HTTPError: the connection could not be made, broke, or was silent for longer than a host is.
    """
    timeout = httpx.Timeout(10.0, read=SILENCE_S)
    params = {"since": str(since)}
    async with client.http.stream("GET", "/anyclaude/events", params=params, timeout=timeout) as answer:
        if answer.status_code != 200:
            await answer.aread()
            raise HostError(refusal(answer.status_code, answer.text))
        async for data in sse_data(answer.aiter_raw()):
            yield data
