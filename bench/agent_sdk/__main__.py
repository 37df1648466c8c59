"""`python -m bench.agent_sdk`: programs that run Claude Code by its Agent SDKs, on a host of ours.

The real client, the proxy and a scripted model; a row for each case. Exit code 1 when one fails.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench.agent_sdk import conversations, extensions, typescript
from bench.agent_sdk.host import sdk_host
from bench.agent_sdk.registry import CASES, run_cases
from bench.claude_code import claude_is_there, claude_path

_MODULES = (conversations, extensions, typescript)  # which register their cases


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the requested cases on one host."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.agent_sdk", description="The Agent SDKs of Claude Code on a host of ours."
    )
    parser.add_argument(
        "--only", metavar="NAME", choices=sorted(CASES), action="append", help="this case; repeatable"
    )
    parser.add_argument("--list", action="store_true", help="name the cases and run none")
    parser.add_argument("--json", action="store_true", help="one JSON object a case instead of a table")
    chosen = parser.parse_args(arguments)
    cases = [CASES[name] for name in chosen.only or CASES]
    if chosen.list:
        for one in cases:
            print(
                json.dumps({"name": one.name, "shows": one.shows})
                if chosen.json
                else f"{one.name}: {one.shows}"
            )
        return 0
    if not claude_is_there():
        print(f"Claude Code is not at {claude_path()}: run `make claude-code` (needs npm)", file=sys.stderr)
        return 2
    failed = 0
    with tempfile.TemporaryDirectory(prefix="anyclaude-sdk-") as folder, sdk_host(Path(folder)) as host:
        for outcome in run_cases(cases, host):
            failed += not outcome.ok
            if chosen.json:
                print(json.dumps(asdict(outcome)), flush=True)
                continue
            print(
                f"{'ok' if outcome.ok else 'FAILED':6}  {outcome.seconds:5.1f} s  {outcome.name}", flush=True
            )
            if outcome.said:
                print(f"        {outcome.said}", flush=True)
    print(f"{len(cases) - failed} of {len(cases)} cases passed", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
