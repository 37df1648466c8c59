"""The report is complete on Linux too, says what is missing, and contains nothing private."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import mac_report, machine_facts
from bench.engine_figures import LENGTHS, MemorySample, Refused, Speed, lengths_for, pressure
from bench.mac_report import MEMORY_FIELDS, MISSING, PREFILL_FIELDS, Report, fields, main, shown_model
from bench.privacy import Privacy

PRIVACY = Privacy(
    home="/Users/annabell",
    folders=["/Volumes/Annas Disk/models/Qwen3-Coder-4bit"],
    host="Annas-MacBook-Pro.local",
    user="annabell",
)


def parts(report: str) -> dict[str, str]:
    """The parts of a report by title."""
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in report.split("\n## ")[1:]}


@pytest.mark.slow
def test_a_report_of_this_machine_has_all_parts_and_nothing_private(tmp_path: Path) -> None:
    out = tmp_path / "report.md"
    assert main(["--quick", "--out", str(out)]) == 0
    text = out.read_text()
    found = parts(text)
    assert list(found) == [
        "Machine",
        "Software",
        "GPU",
        "Terminal and disk",
        "Exactness",
        "Speed",
        "Prefill chunks",
        "Memory",
    ]
    assert (
        "Exact: prompts restored from memory and from disk give the same answers to the last bit."
        in found["Exactness"]
    )
    rows = [line for line in found["Speed"].splitlines() if line.startswith("| ") and line[2].isdigit()]
    assert len(rows) == 5
    for field in PREFILL_FIELDS:
        assert f"- {field}: " in found["Prefill chunks"]
    for field in MEMORY_FIELDS:
        assert f"| {field} | " in found["Memory"]
    assert "FAILED" not in text
    for private in (
        str(tmp_path),
        f"{Path.home()}/",
        socket.gethostname(),
        str(Path(mac_report.__file__).parents[1]),
    ):
        assert private not in text
    assert len(getpass.getuser()) < 4 or getpass.getuser() not in text


@pytest.mark.slow
def test_an_engine_that_cannot_start_leaves_a_report_that_says_why(tmp_path: Path) -> None:
    model = tmp_path / "models" / "no-model"
    model.mkdir(parents=True)
    out = tmp_path / "report.md"
    assert main(["--quick", "--without-exactness", "--model", str(model), "--out", str(out)]) == 1
    text = out.read_text()
    assert "model: no-model\n" in text
    assert "FAILED: ChildFailed" in parts(text)["Speed"]
    assert "has no config.json" in parts(text)["Speed"]
    assert parts(text)["Memory"].strip() == MISSING
    assert str(tmp_path) not in text


@pytest.mark.slow
def test_the_bundled_model_reads_all_of_a_prompt_too(tmp_path: Path) -> None:
    """It reads 2,000 characters of a user's message."""
    out = tmp_path / "report.md"
    assert main(["--lengths", "2500", "--without-exactness", "--out", str(out)]) == 0
    (row,) = [line for line in parts(out.read_text())["Speed"].splitlines() if line[:3].strip("| ").isdigit()]
    assert 2_000 < int(row.split("|")[1].replace(",", "")) < 3_000


def test_a_file_that_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--out", str(tmp_path / "missing" / "report.md")]) == 2
    assert "cannot be written: No such file or directory" in capsys.readouterr().err


def test_a_report_shows_reported_fields_and_names_missing_ones() -> None:
    reported = {"chunk_tokens": 2048, "fixed_s": 0.0671234567, "measured_for": "a\n| b", "new": True}
    assert fields(reported, PREFILL_FIELDS) == [
        ("chunk_tokens", "2,048"),
        ("fixed_s", "0.0671235"),
        ("per_token_s", MISSING),
        ("measured_for", "a / b"),
        ("new", "True"),
    ]
    assert fields(None, PREFILL_FIELDS) == [(name, MISSING) for name in PREFILL_FIELDS]


def sample(when: str, **more: Any) -> MemorySample:
    plain: dict[str, Any] = {
        "ledger": {
            "active_bytes": 17_200_000_000,
            "buffers": 90_000,
            "limit_reason": "the GPU's working set",
        },
        "said_by_health": 17_300_000_000,
        "resident": 900_000_000,
        "footprint": "17.4 GB",
        "available": 4_000_000_000,
        "wired": 18_000_000_000,
        "swap": 0,
        "pressure": "warning",
    }
    return MemorySample(when, **(plain | more))


def test_the_ledger_is_shown_with_the_systems_figures() -> None:
    lines = list(mac_report.memory([sample("after loading"), sample("after 64,000 tokens", wired=None)]))
    assert "| active_bytes | 17.20 GB | 17.20 GB |" in lines
    assert "| buffers | 90,000 | 90,000 |" in lines
    assert "| weights_bytes | not reported | not reported |" in lines
    assert "| after loading | 17.30 | 0.90 | 17.4 GB | 4.00 | 18.00 | 0.00 | warning |" in lines
    assert lines[-1].endswith("| 4.00 | not reported | 0.00 | warning |")


class EngineWithASmallWindow:
    """Accepts only the shorter prompt."""

    def health(self) -> dict[str, Any]:
        return {"accelerated": "metal", "context_tokens": 100_000, "notes": []}

    def stats(self) -> dict[str, Any]:
        return {"memory": {"window_tokens": 70_000}}

    def sample(self, when: str) -> MemorySample:
        return sample(when)

    def speeds(self, lengths: Sequence[int]) -> Iterator[Speed | Refused]:
        yield Speed(lengths[0], 0, 1.0, 64, 50.0, 0, 1.0)
        yield Refused("HTTP 400: the prompt is too long: 900 tokens")


def test_a_refused_prompt_is_its_own_row() -> None:
    samples: list[MemorySample] = []
    chosen = mac_report._parser().parse_args(["--lengths", "800,900"])
    engine: Any = EngineWithASmallWindow()
    *_, taken, refused = mac_report._speeds(engine, chosen, samples, {})
    assert taken == "| 800 | 800 | 1.00 | 50.0 | 64 | 1.00 | 0 |"
    assert refused == "| 900 | refused: HTTP 400: the prompt is too long: 900 tokens |"
    assert [one.when for one in samples] == ["after loading", "after 800 tokens", "after 900 tokens"]


def test_an_engine_that_ends_in_an_answer_leaves_its_last_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def engine(folder: Path, *others: Any) -> Iterator[None]:
        (folder / "engine.log").write_text("[METAL] Command buffer execution failed\n")
        yield

    def speeds(*others: Any) -> Iterator[str]:
        yield "| 900 | 5,000 |"
        raise httpx.RemoteProtocolError("incomplete chunked read")

    monkeypatch.setattr(mac_report, "engine_under_test", engine)
    monkeypatch.setattr(mac_report, "_speeds", speeds)
    chosen = mac_report._parser().parse_args([])
    report = Report(tmp_path / "r.md", PRIVACY, ["# head"])
    report.part("Speed", lambda: mac_report._measured(chosen, tmp_path, [], {}))
    speed = parts((tmp_path / "r.md").read_text())["Speed"]
    assert "    [METAL] Command buffer execution failed" in speed
    assert "FAILED: RemoteProtocolError: incomplete chunked read" in speed


def test_the_window_of_the_memory_ledger_bounds_the_lengths() -> None:
    chosen = mac_report._parser().parse_args([])
    engine: Any = EngineWithASmallWindow()
    rows = "\n".join(mac_report._speeds(engine, chosen, [], {}))
    assert "window: 70,000 tokens" in rows
    assert "| 62,680 | refused" not in rows  # each length is half of the next
    assert "| 7,835 | refused" in rows


def test_a_row_of_speeds_counts_only_what_was_computed() -> None:
    speed = Speed(16_100, 100, 8.0, 3, None, 16_099, 0.25)
    assert mac_report.speed_row(speed) == "| 16,100 | 2,000 | 8.00 | too few | 3 | 0.25 | 16,099 |"


@given(st.integers(1_000, 300_000))
def test_five_growing_lengths_fit_each_window(window: int) -> None:
    lengths = lengths_for(window)
    assert len(lengths) == len(LENGTHS)
    assert lengths == sorted(set(lengths))
    assert lengths[-1] < window * 0.91


def test_an_interrupted_report_has_the_finished_parts(tmp_path: Path) -> None:
    report = Report(tmp_path / "r.md", PRIVACY, ["# head"])

    def lines() -> Iterator[str]:
        yield "one"
        assert "one" in (tmp_path / "r.md").read_text()  # before the next is measured
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        report.part("Speed", lines)
    assert (tmp_path / "r.md").read_text() == "# head\n\n## Speed\n\none\n\nFAILED: it was interrupted\n"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("/Users/annabell/models/x has no config.json", "…/x has no config.json"),
        ("~/clients/acme/x is gone", "…/x is gone"),
        ("/Users/annabella/acme/x", "…/x"),
        ("'/Users/annabell/Library/Application Support/acme/x.bin'", "'…/x.bin'"),
        ("/Volumes/Anna's Disk 2/acme/x.json: gone", "…/x.json: gone"),
        ("path:/opt/acme/models/x", "path:…/x"),
        ("file:///Users/annabell/acme/x", "(address)"),
        ("no answer from https://anna:hunter22@mirror.acme.corp/api?token=a1", "no answer from (address)"),
        ("https://huggingface.co.acme.corp/x/y", "(address)"),
        (
            "https://huggingface.co/a/b, http://127.0.0.1:80/v1",
            "https://huggingface.co/a/b, http://127.0.0.1:80/v1",
        ),
        ("authorization: Bearer hf_abcdefghijklmnopqrstuvwxyz", "authorization: Bearer [redacted]"),
        ("/Volumes/Annas Disk/models/Qwen3-Coder-4bit: no", "…/Qwen3-Coder-4bit: no"),
        ("BLAS (/usr/lib/x/libblas.so.3)", "BLAS (…/libblas.so.3)"),
        ("on annas-macbook-pro, by Annabell", "on (host), by (user)"),
        ("at Annas-MacBook-Pro.local", "at (host)"),
        ("mlx-community/Qwen3 at 12/s, 1/2", "mlx-community/Qwen3 at 12/s, 1/2"),
        ("AnnabellModel", "AnnabellModel"),
    ],
)
def test_names_and_paths_are_removed(text: str, clean: str) -> None:
    assert PRIVACY.clean(text) == clean


def test_short_names_do_not_spoil_words() -> None:
    assert Privacy(home="/", folders=["/"], host="mac", user="al").clean("al on mac: /") == "al on mac: /"


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        ("", "bundled demo model"),
        ("mlx-community/Qwen3-Coder-4bit", "mlx-community/Qwen3-Coder-4bit"),
        ("~/models/Qwen3", "Qwen3"),
        ("/Volumes/Anna/Qwen3/", "Qwen3"),
    ],
)
def test_a_model_is_named_without_its_folders(model: str, shown: str) -> None:
    assert shown_model(model) == shown


MAC = {
    "sw_vers -buildVersion": "25A354",
    "sysctl -n hw.model": "Mac16,9",
    "sysctl -n machdep.cpu.brand_string": "Apple M4 Max",
    "ioreg -rc AGXAccelerator -d 1": '  "gpu-core-count" = 40\n  "IOPlatformSerialNumber" = "C02SECRET"',
    "pmset -g batt": "Now drawing from 'Battery Power'\n -InternalBattery-0 (id=4522083)\t71%; discharging",
    "pmset -g": " lowpowermode         1\n sleep 1",
    "sysctl -n kern.memorystatus_vm_pressure_level": "2",
}


def mac(command: Sequence[str]) -> str:
    return MAC.get(" ".join(command), "")


def test_a_mac_is_described_without_its_serial_numbers() -> None:
    found = dict(machine_facts.system_facts(mac, "Darwin"))
    assert found["chip"] == "Apple M4 Max"
    assert found["GPU cores"] == "40"
    assert found["power"] == "Battery Power"
    assert found["Low Power Mode"] == "on"
    assert found["performance cores"] == MISSING
    assert not any("SECRET" in value or "4522083" in value for value in found.values())


def test_unreadable_panics_are_not_reported_as_none(tmp_path: Path) -> None:
    """Only administrators can read the folder."""
    assert machine_facts._panics(tmp_path / "closed") == "unreadable"
    (tmp_path / "panic-full-1.panic").write_text("IOGPUMemory.cpp:550")
    (tmp_path / "x.ips").write_text("IOGPUMemory.cpp:550")
    assert machine_facts._panics(tmp_path) == "1, 1"


def test_pressure_is_described_in_words(tmp_path: Path) -> None:
    assert pressure(mac, "Darwin") == "warning"
    assert pressure(lambda command: "", "Darwin") == MISSING
    file = tmp_path / "memory"
    assert pressure(mac, "Linux", file) == MISSING
    file.write_text("some avg10=1.25 avg60=0.50 avg300=0.10 total=1\nfull avg10=0.00\n")
    assert pressure(mac, "Linux", file) == "1.25 % of the last 10 s"


def test_the_help_says_what_it_does_and_what_is_not_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    assert "Nothing is sent anywhere" in told
    assert "serial numbers" in told


@pytest.mark.parametrize("lengths", ["", "10,", "10,-1", "0", "a"])
def test_wrong_lengths_are_refused(lengths: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--lengths", lengths])
    assert "whole numbers of 1 or more" in capsys.readouterr().err
