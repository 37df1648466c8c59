"""A host that has lived the demo: its feed over real HTTP, and its traces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from proxy.recordings.playing import PlayedHost, PlayedTraces, played_api
from tests.tui.demo.plot import demo_recording
from tests.tui.demo.story import Story
from tests.tui.scripted_host import ScriptedHost, scripted_host

CACHE = {"entries": [{"id": "k1", "prompt": "what somebody said"}]}


@contextmanager
def demo_host(story: Story, folder: Path, *, token: str = "") -> Iterator[ScriptedHost]:
    """It holds all events of the demo and may emit more; `folder` is for its marks."""
    with scripted_host(token=token) as host:
        host.events = [event.model_dump() for event in story.events()]
        traces = PlayedTraces(demo_recording(), folder)
        traces.show(9e9)
        api = played_api(PlayedHost(traces, lambda: None, lambda: None))
        # In place of what the scripted host answers itself.
        host.app.router.routes.insert(0, Route("/anyclaude/cache", lambda request: JSONResponse(CACHE)))
        host.app.router.routes.append(Mount("/", app=api))
        yield host
