"""The script of curl commands: what the shell makes of it, run with a curl that writes down what it gets."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from proxy.traces.export.curl import curl_command, script_head
from proxy.traces.schema import Trace, TraceRequest
from tests.proxy.trace_making import body_of, trace_of
from tests.proxy.traces.export.test_exporting import SECRET, exported
from tests.proxy.traces.export.test_formats import ODD

CURL = """#!/bin/sh
number=$(ls "$OUT" | wc -l)
mkdir "$OUT/$number"
for word in "$@"; do printf '%s\\0' "$word"; done > "$OUT/$number/words"
cat <&3 > "$OUT/$number/headers"
cat > "$OUT/$number/body"
"""
EVIL = "'; touch $OUT/pwned; `id` $(id) \\ \" END_OF_BODY\nEND_OF_BODY\n${HOME} !! \0 \x1b[2J 漢"


def run(folder: Path, script: str, **environ: str) -> list[dict[str, Any]]:
    """What each curl of a script got."""
    (folder / "bin").mkdir()
    curl = folder / "bin" / "curl"
    curl.write_text(CURL)
    curl.chmod(0o700)
    (out := folder / "out").mkdir()
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    subprocess.run(
        ["/bin/sh"],
        input=script.encode(),
        env={"PATH": path, "OUT": str(out)} | environ,
        check=True,
        timeout=60,
    )
    got = []
    for call in sorted(out.iterdir(), key=lambda one: int(one.name)):
        words = (call / "words").read_text("utf-8").split("\0")[:-1]
        got.append(
            {
                "words": words,
                "headers": (call / "headers").read_text(),
                "body": (call / "body").read_text("utf-8"),
            }
        )
    return got


def hostile(number: int, **request: Any) -> Trace:
    return trace_of(number, session=EVIL, model=EVIL, request=TraceRequest(**request))


def test_the_shell_passes_on_what_was_sent_and_runs_nothing_of_it(tmp_path: Path) -> None:
    traces = [
        hostile(
            1,
            body=body_of(EVIL),
            headers={"x-note": "it's $HOME", "user-agent": "claude-cli/2"},
            query="a=$(id)&b='",
        ),
        hostile(
            2,
            body=EVIL,
            headers={EVIL: "x", "y": EVIL, "@/etc/passwd": "z"},
            path="@elsewhere/'`id`",
            method="X; id",
        ),
        hostile(3, body=None),
        *ODD,
    ]
    got = run(tmp_path, exported("curl", *traces))
    assert len(got) == len(traces)
    assert [json.loads(one["body"]) for one in got[:3]] == [body_of(EVIL), EVIL, None]
    for one in got:
        assert one["headers"].strip() == ""
        url = next(word for word in one["words"] if word.startswith("http"))
        assert url.startswith("http://127.0.0.1:8082/")
        assert "\n" not in url
    headers = [word for one in got[:2] for word in one["words"] if ": " in word]
    assert headers == [
        "content-type: application/json",
        "user-agent: claude-cli/2",
        "x-note: it's $HOME",
        "content-type: application/json",
    ]


def test_secrets_stay_out_and_a_token_comes_from_the_environment(tmp_path: Path) -> None:
    headers = {
        "authorization": f"Bearer {SECRET}",
        "x-api-key": "abc",
        "cookie": "d=1",
        "host": "x",
        "x-note": "[redacted]",
    }
    script = exported("curl", hostile(1, body=body_of(SECRET), headers=headers))
    assert SECRET not in script
    token = "a b$(id)'\""
    [got] = run(tmp_path, script, ANYCLAUDE_TOKEN=token, ANYCLAUDE_URL="http://other:1")
    assert got["headers"].splitlines() == [f"authorization: Bearer {token}"]
    assert "http://other:1/v1/messages" in got["words"]
    assert token not in " ".join(got["words"])  # which all users of the machine can read
    assert [word for word in got["words"] if ": " in word] == ["content-type: application/json"]


@pytest.mark.parametrize("url", ["http://a';id;'", "http://$(id)", "http://a}b`id`"])
def test_the_address_of_the_host_is_no_command(url: str, tmp_path: Path) -> None:
    [got] = run(tmp_path, script_head(url) + curl_command(hostile(1, body={})))
    assert next(word for word in got["words"] if word.startswith("http")).startswith("http://")
