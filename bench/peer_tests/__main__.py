"""Read the outputs in the parser tests of other servers, and count the calls that are read as meant.

`--llama-cpp`, `--vllm`, `--sglang` and `--mlx-lm` name checkouts. The tests of vLLM, SGLang and mlx-lm run
with their own parsers: what these read in a test that passes is what is meant. They need no server and no
model, but `partial-json-parser`, `ijson`, `orjson`, `openai-harmony` and `mistral-common`: tests that lack
one are not judged. llama.cpp's tests are read from their source.

Each output is read as a whole and letter by letter, as if a grammar constrained its calls. `missing` are
meant calls that are not read, `other` those of them in whose place another call is read, and `more` calls are
read where none is meant. Exit code 1: a call became another one, or less than 95 % are read as meant.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench.peer_tests import llama_cpp, python_peers
from bench.peer_tests.judging import Figures, Judgement, Output, distinct, figures, judged
from bench.peer_tests.python_peers import TestsFailed

_PEERS: dict[str, Callable[[str, Path], Iterator[Output]]] = {
    "llama.cpp": llama_cpp.outputs,
    "vllm": python_peers.outputs,
    "sglang": python_peers.outputs,
    "mlx-lm": python_peers.outputs,
}
_LEAST = 0.95
_SHOWN = 300  # characters of an output


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge the given peers; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.peer_tests",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for peer in _PEERS:
        option = f"--{peer.replace('.', '-')}"
        parser.add_argument(option, type=Path, metavar="DIR", dest=peer, help=f"a checkout of {peer}")
    parser.add_argument("--only", default="", metavar="TEXT", help="tests whose name contains this")
    parser.add_argument("--json", action="store_true", help="a JSON object for each peer")
    parser.add_argument("--differing", action="store_true", help="show each output that is read otherwise")
    given = vars(parser.parse_args(arguments))
    checkouts = {peer: given[peer] for peer in _PEERS if given[peer] is not None}
    if not checkouts:
        parser.error("name a checkout of at least one peer")
    counted: dict[str, Figures] = {}
    for peer, checkout in checkouts.items():
        try:
            found = [output for output in _PEERS[peer](peer, checkout) if given["only"] in output.test]
        except (OSError, TestsFailed) as error:
            print(f"{peer}: {error}", file=sys.stderr)
            return 2
        judgements = list(_judged(peer, list(distinct(found))))
        counted[peer] = figures(judgements)
        if given["json"]:
            print(json.dumps({"peer": peer, **counted[peer].document()}))
        if given["differing"]:
            _show(judgements)
    if not given["json"]:
        print("\n".join(table(counted)))
        print("\n".join(not_judged(counted)))
    return int(any(one.other or one.right < _LEAST * one.calls for one in counted.values()))


def _judged(peer: str, outputs: Sequence[Output]) -> Iterator[Judgement]:
    for number, output in enumerate(outputs, 1):
        yield judged(output) if output.meant is not None else Judgement(output)
        if sys.stderr.isatty():
            print(f"\r{peer}: {number} of {len(outputs)} outputs", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print(file=sys.stderr)


def table(counted: dict[str, Figures]) -> Iterator[str]:
    """The counts in Markdown."""
    yield "| tests of | outputs | calls | as meant | missing | other | more |"
    yield "|---|---|---|---|---|---|---|"
    for peer, one in counted.items():
        share = f" ({one.right / one.calls:.1%})" if one.calls else ""
        counts = f"{one.missing} | {one.other} | {one.more}"
        yield f"| {peer} | {one.outputs} | {one.calls} | {one.right}{share} | {counts} |"


def not_judged(counted: dict[str, Figures]) -> Iterator[str]:
    """The tests that are not judged, by reason."""
    for peer, one in counted.items():
        for why, count in one.not_judged.most_common():
            yield f"{peer}: {count} not judged: {why}"


def _show(judgements: Sequence[Judgement]) -> None:
    for one in judgements:
        if one.missing or one.other or one.more:
            family = one.output.family.name if one.output.family else "no family"
            print(f"{one.output.peer} {one.output.test} ({family})")
            print(f"  output  {one.output.text[:_SHOWN]!r}")
            print(f"  meant   {json.dumps(one.output.meant)[:_SHOWN]}")
            print(f"  found   {json.dumps(one.found)[:_SHOWN]}")
            for remark in one.remarks:
                print(f"  note    {remark[:_SHOWN]}")


if __name__ == "__main__":
    sys.exit(main())
