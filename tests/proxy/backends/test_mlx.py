"""What the backend of the built-in engine keeps of answers that break off."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.backends.mlx import MlxBackend
from proxy.backends.upstream import Broken, UpstreamRequest
from proxy.events.errors import UpstreamError
from tests.proxy.live import BREAK, Upstream, says, serve

GENERATED = {"object": "anyclaude.feed", "kind": "generated", "tokens": [5, 6]}
REPORTED = {"object": "anyclaude.feed", "kind": "error", "type": "overloaded", "message": "the GPU failed"}
BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


async def asked(backend: MlxBackend, **fields: Any) -> bool:
    """Whether the answer has an end."""
    try:
        return [
            not isinstance(steps[-1], Broken)
            async for steps in backend.stream(UpstreamRequest(BODY | fields, "request"))
        ][-1]
    except UpstreamError:
        return False


@pytest.mark.parametrize(
    ("played", "known"),
    [
        ([says("So")[0], GENERATED, BREAK], [5, 6]),
        ([says("So")[0], GENERATED, REPORTED], None),  # the engine does not vouch for them
        ([says("So")[0], BREAK], None),
    ],
)
async def test_what_an_engine_that_breaks_off_had_generated_goes_to_the_next(
    played: list[Any], known: list[int] | None
) -> None:
    engine = Upstream(played)
    async with serve(engine) as url:
        backend = MlxBackend(f"{url}/v1", lambda: "m")
        assert not await asked(backend, stream=True)
        engine.answer = says("So it is.")
        assert await asked(backend, temperature=0.5)  # another request
        assert await asked(backend, max_tokens=9)
        assert await asked(backend, max_tokens=9)
        await backend.close()
    assert [body.get("resume_tokens") for body in engine.bodies] == [None, None, known, None]
