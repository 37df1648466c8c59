"""A host that has lived the demo: its feed over real HTTP, and its traces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.routing import Mount

from proxy.recordings.format import HostAnswer
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
        answers = {"/anyclaude/cache": [(0.0, HostAnswer(path="/anyclaude/cache", body=CACHE))]}
        api = played_api(PlayedHost(traces, lambda: None, lambda: None, answers))
        host.app.router.routes.append(Mount("/", app=api))
        yield host
