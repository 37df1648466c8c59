"""`make bench`: every figure as a JSON line on stdout, and a table on stderr.

Exit code 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import (
    cache_index,
    day_reuse,
    decode,
    grammar_cost,
    interleaved_sessions,
    new_project,
    prefix_reuse,
    proxy_overhead,
    random_calls,
    redaction,
    restoring,
    scheduling,
    screen,
    side_by_side,
    trace_analysis,
    turn_latency,
)
from bench.figure import Figure, table

BENCHES = {
    "proxy_overhead": proxy_overhead.measure,
    "decode": decode.measure,
    "prefix_reuse": prefix_reuse.measure,
    "day_reuse": day_reuse.measure,
    "new_project": new_project.measure,
    "interleaved_sessions": interleaved_sessions.measure,
    "restoring": restoring.measure,
    "cache_index": cache_index.measure,
    "side_by_side": side_by_side.measure,
    "turn_latency": turn_latency.measure,
    "scheduling": scheduling.measure,
    "grammar_cost": grammar_cost.measure,
    "random_calls": random_calls.measure,
    "redaction": redaction.measure,
    "trace_analysis": trace_analysis.measure,
    "screen": screen.measure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the requested benches."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Figures beside their peers.")
    parser.add_argument("--only", choices=sorted(BENCHES), action="append", help="run this one; repeatable")
    parser.add_argument("--quick", action="store_true", help="few runs: shows that it works, not how fast")
    chosen = parser.parse_args(arguments)
    figures: list[Figure] = []
    for name in chosen.only or BENCHES:
        with tempfile.TemporaryDirectory(prefix="anyclaude-bench-") as folder:
            for figure in BENCHES[name](Path(folder), quick=chosen.quick):
                print(figure.line(), flush=True)
                figures.append(figure)
    print(table(figures), file=sys.stderr)
    return 0 if all(figure.ok for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
