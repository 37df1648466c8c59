"""What the Health pane says where there is no engine of ours."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.events.totals import Totals
from proxy.events.types import EngineMemory, EngineState
from tui.client.records import HostFacts, Link, LinkState, RequestPhase, RequestSnapshot, Snapshot
from tui.client.store import Store
from tui.screen.engine_label import engine_label
from tui.screen.panes.health import engine_block


def snapshot_of(backend: str) -> Snapshot:
    return Snapshot(
        host=HostFacts(backend=backend, model="qwen3", url="http://127.0.0.1:8082"),
        engine=EngineState(state="stopped"),
    )


def text_of(snapshot: Snapshot) -> str:
    return "\n".join("".join(text for text, _ in line) for line in engine_block(snapshot, 0.0, 100, 12))


def test_an_engine_of_ours_that_is_stopped_can_be_started() -> None:
    assert engine_label(snapshot_of("mlx"))[0] == "stopped"
    assert "r starts it" in text_of(snapshot_of("mlx"))


@pytest.mark.parametrize("backend", ["openai", "lmstudio", "claude"])
def test_another_server_is_named_and_not_called_stopped(backend: str) -> None:
    assert engine_label(snapshot_of(backend)) == (backend, "muted")  # nobody knows yet
    said = text_of(snapshot_of(backend))
    assert f"Requests go to {backend}" in said
    assert "stopped" not in said.lower()
    assert "qwen3" in said


@pytest.mark.parametrize("backend", ["mlx", "openai"])
@pytest.mark.parametrize(("state", "word"), [("reconnecting", "no contact"), ("ended", "host ended")])
def test_a_host_that_is_gone_stops_the_clocks(backend: str, state: LinkState, word: str) -> None:
    store = Store()
    gone = snapshot_of(backend)
    for at in (100.0, 107.0):  # each attempt in vain is another link
        store.set_link(Link(state, "nothing listens there", at))
    gone = replace(gone, link=store.snapshot().link)
    assert gone.as_of(900.0) == 100.0
    assert engine_label(gone)[0] == word
    assert "gone since 00:01:40" in text_of(gone)
    assert "READY" not in text_of(gone)


def test_the_destination_is_drawn_with_its_source() -> None:
    host = HostFacts(backend="openai", destination="http://127.0.0.1:9/v1 (from --base-url), without a key")
    said = text_of(Snapshot(host=host, engine=EngineState(state="stopped")))
    assert "sends to  http://127.0.0.1:9/v1 (from --base-url), without a key" in said


def test_the_bundled_model_is_named_with_the_way_to_a_real_one() -> None:
    def said(model: str) -> str:
        return text_of(Snapshot(engine=EngineState(state="ready", model=model)))

    assert "bundled demo model" in said("bundled demo model")
    assert "demo model: set --model" in said("bundled demo model")
    assert "for a real one" not in said("Qwen3-Coder")


def test_a_mac_that_computes_without_metal_stands_out() -> None:
    def styles(accelerated: str) -> list[str]:
        state = EngineState(state="ready", pid=7, accelerated=accelerated)
        lines = engine_block(Snapshot(engine=state), 0.0, 200, 20)
        return [style for line in lines for text, style in line if accelerated in text]

    assert styles("cpu: no Metal device in this session") == ["warn"]
    assert styles("metal (Apple M4 Max)") == ["muted"]


def test_in_a_low_terminal_with_notes_the_port_that_was_free_can_be_read() -> None:
    engine = EngineState(
        state="ready",
        pid=7,
        started=1.0,
        model="Qwen3-Coder",
        url="http://127.0.0.1:53121",
        context_tokens=47_384,
        notes=["it serves 47,384 of 262,144 tokens", "answers are generated one at a time"],
        last_exit="signal 9",
    )
    host = HostFacts(backend="mlx", url="http://127.0.0.1:8082")
    lines = engine_block(Snapshot(engine=engine, host=host), 9.0, 78, 11)[:11]
    said = "\n".join("".join(text for text, _ in line) for line in lines)
    for fact in ("47,384 tokens", "http://127.0.0.1:53121", "restarts"):
        assert fact in said


LEDGER = EngineMemory(
    limit_bytes=25_800_000_000,
    weights_bytes=17_200_000_000,
    requests_bytes=2_100_000_000,
    prefix_cache_bytes=1_300_000_000,
)


def test_memory_is_drawn_with_its_limit_and_parts() -> None:
    said = text_of(Snapshot(engine=EngineState(state="busy", memory_bytes=20_600_000_000, memory=LEDGER)))
    assert "20.6 GB of 25.8 GB" in said
    assert "weights 17.2 GB   requests 2.1 GB   cache 1.3 GB" in said


def test_a_narrow_terminal_has_the_memory_and_its_limit_too() -> None:
    engine = EngineState(state="busy", memory_bytes=20_600_000_000, memory=LEDGER)
    lines = engine_block(Snapshot(engine=engine), 0.0, 70, 11)
    assert any("20.6 GB of 25.8 GB" in "".join(text for text, _ in line) for line in lines)


def test_memory_pressure_is_drawn() -> None:
    ledger = LEDGER.model_copy(update={"pressure": "critical"})
    said = text_of(Snapshot(engine=EngineState(state="busy", memory=ledger)))
    assert "this machine is short of memory (critical)" in said


def test_without_a_limit_only_memory_is_drawn() -> None:
    said = text_of(
        Snapshot(engine=EngineState(state="busy", memory_bytes=5_000_000_000, memory=EngineMemory()))
    )
    assert "memory  5.0 GB" in said
    assert "GB of" not in said


def test_the_served_context_is_drawn() -> None:
    assert "47,384 tokens" in text_of(Snapshot(engine=EngineState(state="ready", context_tokens=47_384)))


def ended(seconds: float, cause: str = "") -> RequestSnapshot:
    phase: RequestPhase = "failed" if cause else "done"
    return RequestSnapshot(
        f"r{seconds}", seconds, seconds, phase=phase, ended=seconds, cause=cause, error=f"{cause}!"
    )


def test_an_upstream_is_what_the_newest_result_says_of_it() -> None:
    def after(*requests: RequestSnapshot) -> Snapshot:
        return replace(snapshot_of("openai"), requests=requests)

    down = after(ended(10.0), ended(60.0, "no upstream"), ended(120.0, "no upstream"))
    assert engine_label(down) == ("openai: no upstream", "bad")
    assert "openai: no upstream  since 00:01:00" in text_of(down)
    assert "no upstream!" in text_of(down)
    up = after(ended(60.0, "no upstream"), ended(120.0), ended(90.0, "key refused"))
    assert engine_label(up) == ("openai", "ok")
    assert "It answered at 00:02:00" in text_of(up)
    assert engine_label(after(ended(60.0, "prompt too long"))) == ("openai", "ok")


@pytest.mark.parametrize(
    ("started", "said"),
    [(950.0, "3; 5 in a row are the limit"), (100.0, "3, none for 15m00s")],
)
def test_restarts_are_counted_and_forgiven(started: float, said: str) -> None:
    engine = EngineState(state="ready", restarts=2, started=started, pid=7)
    seen = Snapshot(engine=engine, totals=Totals(engine_restarts=3))
    lines = engine_block(seen, 1000.0, 100, 14)
    assert said in "\n".join("".join(text for text, _ in line) for line in lines)
