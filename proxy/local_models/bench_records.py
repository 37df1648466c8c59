"""Earlier runs of `models bench`: one file a model in the state folder, a JSON line a run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.process.private_files import write_private
from engine.wire.speed_report import MeasuredModel, SkippedLength, SpeedRow

FOLDER = "benchmarks"
_MOST_RUNS = 200  # of one model; the oldest go
_MOST_BYTES = 10_000_000


@dataclass(frozen=True, slots=True)
class BenchRun:
    """One run. `time` is UTC, `options` what changes speeds: `kv_bits`, `draft_model`.

    `ended` is empty for a whole run, else why it ended early.
    """

    name: str
    time: str
    model: MeasuredModel
    rows: tuple[SpeedRow, ...] = ()
    skipped: tuple[SkippedLength, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    ended: str = ""

    def row_of(self, prompt_tokens: int) -> SpeedRow | None:
        """The row of this length."""
        return next((row for row in self.rows if row.prompt_tokens == prompt_tokens), None)


class BenchRecords:
    """The runs of all models below a state folder."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def file(self, name: str) -> Path:
        """The file of a model's runs."""
        plain = re.sub(r"[^\w.-]+", "--", name.strip("/"))[-120:]
        return self._home / FOLDER / f"{plain}.jsonl"

    def runs(self, name: str) -> list[BenchRun]:
        """The runs of a model, oldest first; lines that cannot be read are passed over."""
        try:
            file = self.file(name)
            if file.stat().st_size > _MOST_BYTES:
                return []
            lines = file.read_text("utf-8").splitlines()
        except (OSError, ValueError):
            return []
        return [run for line in lines if (run := _read(line)) is not None]

    def before(self, run: BenchRun) -> BenchRun | None:
        """The last earlier run of the same weights with the same options on the same device."""
        alike = (
            each
            for each in reversed(self.runs(run.name))
            if each.time < run.time
            and each.rows
            and each.options == run.options
            and each.model.fingerprint == run.model.fingerprint
            and each.model.device == run.model.device
        )
        return next(alike, None)

    def keep(self, run: BenchRun) -> Path:
        """Append a run.

        Raises:
            OSError: it cannot be written.
        """
        file = self.file(run.name)
        runs = [*self.runs(run.name)[-_MOST_RUNS + 1 :], run]
        write_private(file, "".join(f"{json.dumps(asdict(each))}\n" for each in runs).encode())
        return file


def now() -> str:
    """The time of a run that begins."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _read(line: str) -> BenchRun | None:
    try:
        found: Mapping[str, Any] = json.loads(line)
        return BenchRun(
            name=str(found["name"]),
            time=str(found["time"]),
            model=MeasuredModel(**found["model"]),
            rows=tuple(SpeedRow(**row) for row in found["rows"]),
            skipped=tuple(SkippedLength(**row) for row in found["skipped"]),
            options=dict(found["options"]),
            ended=str(found["ended"]),
        )
    except (ValueError, KeyError, TypeError):
        return None
