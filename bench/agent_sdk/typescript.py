"""Cases of `@anthropic-ai/claude-agent-sdk`, the SDK for TypeScript, run by Node.js (`typescript.mjs`)."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

from bench.agent_sdk.host import ANSWER_S, SdkHost, results_sent
from bench.agent_sdk.registry import case
from bench.claude_code import claude_path
from bench.scripted_upstream import Call, Turn, text_of

PACKAGES = Path(__file__).resolve().parents[2] / ".claude-code/agent-sdk"
PROGRAM = Path(__file__).with_name("typescript.mjs")
SAID = "It is done."


@case("TypeScript: `query()` with a tool of the program's own, hooks and permissions")
async def typescript_query(host: SdkHost) -> None:
    search = Call("ToolSearch", {"query": "select:mcp__till__add", "max_results": 5})
    bash = Call("Bash", {"command": "touch forbidden.txt", "description": "Touch"})
    host.plays(
        Turn("", (search,)),
        Turn("", (Call("mcp__till__add", {"a": 2, "b": 3}),)),
        Turn("", (bash,)),
        Turn(SAID),
    )
    told = await _run(host, "tools")
    assert told["result"] == SAID, told
    assert told["hooks"] >= 2, told
    *_, added, denied = results_sent(host.requests[-1])
    assert added == "SUM 5", added
    assert "Not in this test." in denied, denied
    assert not (host.project / "forbidden.txt").exists()


@case("TypeScript: several turns in one session, partial messages, structured output")
async def typescript_session(host: SdkHost) -> None:
    given = {"total": 250}
    host.plays(Turn("One."), Turn("", (Call("StructuredOutput", given),)), Turn("Two."))
    told = await _run(host, "session")
    assert told["structured"] == given, told
    assert "One." in told["streamed"], told
    assert "first" in text_of(host.requests[-1])


async def _run(host: SdkHost, name: str) -> dict[str, Any]:
    """What the program says of one of its cases.

    Raises:
        AssertionError: Node.js or the package is missing, or the program failed.
    """
    node = shutil.which("node")
    assert node, "Node.js is not on the PATH"
    assert (PACKAGES / "node_modules").is_dir(), "the package is missing: run `make agent-sdk`"
    options = host.options()
    given = {
        "case": name,
        "packages": str(PACKAGES),
        "claude": str(claude_path()),
        "cwd": str(host.project),
        "env": {"PATH": os.environ["PATH"], **options.env},
        "settings": json.loads(options.settings or "{}"),
    }
    process = await asyncio.create_subprocess_exec(
        node,
        str(PROGRAM),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(ANSWER_S):
        try:
            out, errors = await process.communicate(json.dumps(given).encode())
        except BaseException:
            process.kill()
            raise
    assert process.returncode == 0, errors.decode()[-2000:]
    told: dict[str, Any] = json.loads(out.decode().splitlines()[-1])
    return told
