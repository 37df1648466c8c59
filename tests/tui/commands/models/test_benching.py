"""`models bench`: the program's lines become a table, a plot, JSON, and a run for later ones."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.wire.speed_report import (
    MeasuredModel,
    SkippedLength,
    SpeedLine,
    SpeedProgress,
    SpeedRow,
    speed_text,
)
from proxy.local_models.bench_records import BenchRecords, BenchRun
from tests.tui.commands.models.homes import Home
from tests.tui.scripted_host import scripted_host
from tui.commands.exit_codes import CommandFailed
from tui.commands.models import benching
from tui.commands.models.bench_report import plot, report
from tui.commands.models.benching import BenchOptions, Measured, bench_command, lengths_of, run_models_bench

MODEL = MeasuredModel("f1", 4096, 512, 10**9, "a Mac", "Apple M4", {"mlx": "1.0"})
ROWS = (SpeedRow(1024, 2.0, 1023, 0.1, 64, 2.0, 4.0), SpeedRow(2048, 8.0, 2047, 0.2, 64, 4.0))
OPTIONS = BenchOptions((1024, 2048), 64, 60)


class Engine:
    """Stands in for `python -m engine.model_speed`, whose own test has the real one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lines: list[SpeedLine] = [MODEL, SpeedProgress(0.5, "cold"), *ROWS]
        self.code = 0
        self.error = ""
        self.commands: list[list[str]] = []
        real = bench_command

        def command(*given: Any) -> list[str]:
            self.commands.append(real(*given))
            said = "".join(speed_text(line) + "\n" for line in self.lines)
            program = f"import sys; sys.stdout.write({said!r}); sys.stderr.write({self.error!r})"
            return [sys.executable, "-c", f"{program}; sys.exit({self.code})"]

        monkeypatch.setattr(benching, "bench_command", command)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    return Engine(monkeypatch)


def bench(home: Home, name: str = "bundled", *, as_json: bool = True, **options: Any) -> int:
    return run_models_bench(home.invocation(**options), name, OPTIONS, as_json=as_json)


def test_a_run_is_printed_kept_and_compared(
    home: Home, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(home) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["before"] is None
    assert [row["prefill_tokens_per_s"] for row in first["run"]["rows"]] == [512, 256]
    file = Path(first["kept_in"])
    assert file.parent == home.root / "state" / "benchmarks"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    engine.lines = [replace(MODEL, libraries={"mlx": "1.1"}), replace(ROWS[0], cold_s=1.0)]
    assert bench(home, as_json=False) == 0
    shown = capsys.readouterr()
    assert "1.0k (+100%)" in shown.out
    assert "32.0 (=)" in shown.out
    assert "mlx 1.0 then" in shown.out
    assert len(BenchRecords(home.root / "state").runs("bundled demo model")) == 2


def test_runs_of_other_weights_options_or_devices_are_not_compared(tmp_path: Path) -> None:
    records = BenchRecords(tmp_path)
    old = BenchRun("a/m", "2026-01-01T00:00:00", MODEL, ROWS, options={"kv_bits": None})
    new = replace(old, time="2026-01-02T00:00:00")
    records.keep(old)
    assert records.before(new) == old
    assert records.before(replace(new, options={"kv_bits": 8})) is None
    assert records.before(replace(new, model=replace(MODEL, fingerprint="f2"))) is None
    assert records.before(replace(new, model=replace(MODEL, device="cpu"))) is None
    with records.file("a/m").open("a") as file:
        file.write("not a run\n{}\n")
    records.keep(new)
    assert records.runs("a/m") == [old, new]


def test_an_interrupt_keeps_what_was_measured(
    home: Home, engine: Engine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    take = benching.take

    def interrupted(lines: Iterable[str], measured: Measured) -> None:
        take(lines, measured)
        raise KeyboardInterrupt

    monkeypatch.setattr(benching, "take", interrupted)
    engine.lines = [MODEL, ROWS[0]]
    assert bench(home, as_json=False) == 130
    shown = capsys.readouterr()
    assert "512" in shown.out
    assert "interrupted: what was measured until then is kept" in shown.err
    (run,) = BenchRecords(home.root / "state").runs("bundled demo model")
    assert (run.ended, run.rows) == ("interrupted", (ROWS[0],))
    engine.lines = [MODEL]
    assert bench(home, as_json=False) == 130
    assert "nothing was kept" in capsys.readouterr().err


def test_a_program_that_fails_says_why_and_its_rows_are_kept(home: Home, engine: Engine) -> None:
    engine.lines, engine.code, engine.error = [MODEL, ROWS[0]], 4, "a warning\nout of memory\n"
    with pytest.raises(CommandFailed, match="out of memory") as failed:
        bench(home)
    assert failed.value.exit_code == 4
    (run,) = BenchRecords(home.root / "state").runs("bundled demo model")
    assert run.ended == "out of memory"


def test_the_engine_gets_the_configured_ways_to_run(home: Home, engine: Engine) -> None:
    whole = home.hub_model("acme/draft")
    home.environ |= {"ANYCLAUDE_KV_BITS": "8", "ANYCLAUDE_DRAFT_MODEL": str(whole / "snapshots" / ("a" * 40))}
    assert bench(home) == 0
    command = engine.commands[0]
    for pair in (["--lengths", "1024,2048"], ["--kv-bits", "8"], ["--decode", "64"], ["--seconds", "60"]):
        at = command.index(pair[0])
        assert command[at : at + 2] == pair
    assert "--draft-model" in command


def test_adapter_and_trust_are_the_configured_models_alone(home: Home, engine: Engine) -> None:
    whole = home.hub_model("acme/m")
    home.hub_model("acme/other")
    folder = str(whole / "snapshots" / ("a" * 40))
    home.environ |= {"ANYCLAUDE_ADAPTER": "/tuned", "ANYCLAUDE_TRUST_REMOTE_CODE": "acme/m"}
    for name in ("acme/m", "acme/other"):
        assert bench(home, name, model="acme/m") == 0
    configured, other = engine.commands
    assert configured[configured.index("--adapter") :][:2] == ["--adapter", "/tuned"]
    assert configured[configured.index("--trust-remote-code") :][:2] == ["--trust-remote-code", folder]
    assert {"--adapter", "--trust-remote-code"}.isdisjoint(other)


def test_a_draft_model_that_is_not_here_is_named(home: Home, engine: Engine) -> None:
    home.environ["ANYCLAUDE_DRAFT_MODEL"] = "acme/draft-that-is-not-here"
    with pytest.raises(CommandFailed, match="models pull acme/draft-that-is-not-here"):
        bench(home)


def test_lengths_that_do_not_fit_are_left_out(
    home: Home, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    home.hub_model("acme/m", {"max_position_embeddings": 2000})
    assert bench(home, "acme/m") == 0
    assert "2,048 tokens: left out, about 2,000 fit" in capsys.readouterr().err
    assert "1024" in engine.commands[0]
    home.hub_model("acme/small", {"max_position_embeddings": 512})
    with pytest.raises(CommandFailed, match="no length is left"):
        bench(home, "acme/small")


def test_what_cannot_run_is_not_measured(home: Home, engine: Engine) -> None:
    home.gguf("acme/m")
    with pytest.raises(CommandFailed, match="GGUF"):
        bench(home, "acme/m")
    assert engine.commands == []


def test_another_backend_needs_a_name(home: Home, engine: Engine) -> None:
    with pytest.raises(CommandFailed, match="lmstudio has its own model"):
        bench(home, "", backend_name="lmstudio")
    assert bench(home, "bundled", backend_name="lmstudio") == 0


def test_beside_a_host_without_room_it_is_refused(
    home: Home, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted_host() as host:
        host.engine_is("ready", memory_bytes=1 << 50)
        port = int(host.url.rpartition(":")[2])
        with pytest.raises(CommandFailed, match="--beside-host"):
            bench(home, port=port)
        invocation = home.invocation(port=port)
        assert run_models_bench(invocation, "", OPTIONS, as_json=True, beside_host=True) == 0


def test_the_report_says_what_is_missing() -> None:
    model = replace(MODEL, grammar_fault="its bytes are unknown")
    run = BenchRun("a/m", "t", model, ROWS, (SkippedLength(9000, "no time"),))
    text = "\n".join(report(run, None, 80))
    assert "9.0k tokens: not measured, no time" in text
    assert "with a grammar: not measured, its bytes are unknown" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_a_plot_is_to_scale() -> None:
    title, long, short, nothing = plot("speed", [(1000, 100.0), (2000, 50.0), (4000, 0.0)], 80)
    assert (title, long.count("█"), short.count("█"), nothing.count("█")) == ("speed", 60, 30, 0)
    assert list(plot("speed", [(1, 0.0)], 80)) == []


@pytest.mark.parametrize(
    ("text", "lengths"),
    [("1k,4k", [1024, 4096]), ("2048, 512", [512, 2048]), ("1K,1024", [1024])],
)
def test_lengths_are_read(text: str, lengths: list[int]) -> None:
    assert lengths_of(text) == lengths


@pytest.mark.parametrize("text", ["", "k", "-1", "1m", "4", "1,,2", "99999999"])
def test_other_lengths_are_refused(text: str) -> None:
    with pytest.raises(CommandFailed, match="allowed: tokens between commas"):
        lengths_of(text)
