"""Scenarios of sessions: resumed, forked, compacted, switched, several at once, through the Agent SDKs."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from bench.child import poll
from bench.claude_day.scenario import scenario
from bench.claude_day.script import SUMMARY, bash, read, summary
from bench.claude_day.stage import Stage
from bench.scripted_upstream import Turn
from tui.commands.claude_environment import claude_environment

SMALL_WINDOWS = "test_claude_code_in_small_windows.py"
TOO_LONG = (
    "This model's maximum context length is 40000 tokens. However, you requested 48000 tokens "
    "(44000 in the messages, 4000 in the completion). Please reduce the length of the messages or completion."
)


@scenario("continue", "`--continue` sends the whole conversation again")
def continued(on: Stage) -> None:
    on.ask("FIRST-71.", Turn("", (bash("echo result-71"),)), Turn("ANSWER-71."))
    on.ask("SECOND-72.", Turn("ANSWER-72."), args=["--continue"])
    _last_has(on, "FIRST-71.", "result-71", "ANSWER-71.", "SECOND-72.")


@scenario("resume", "`--resume ID` goes on after another session")
def resumed(on: Stage) -> None:
    first = on.ask("FIRST-71.", Turn("", (bash("echo result-71"),)), Turn("ANSWER-71."))
    on.ask("OTHER-73.", Turn("ANSWER-73."))
    again = on.ask("SECOND-72.", Turn("ANSWER-72."), args=["--resume", first["session_id"]])
    assert again["session_id"] == first["session_id"]
    _last_has(on, "FIRST-71.", "result-71", "SECOND-72.")


@scenario("fork", "`--fork-session` goes on in a new session with the old conversation")
def forked(on: Stage) -> None:
    first = on.ask("FIRST-71.", Turn("ANSWER-71."))
    again = on.ask("SECOND-72.", Turn("ANSWER-72."), args=["--resume", first["session_id"], "--fork-session"])
    assert again["session_id"] != first["session_id"]
    _last_has(on, "FIRST-71.", "ANSWER-71.", "SECOND-72.")


def _last_has(on: Stage, *texts: str) -> None:
    sent = json.dumps(on.bodies()[-1]["messages"])
    for text in texts:
        assert text in sent, f"the last request lacks {text!r}"


@scenario("model switch", "another model name in the same conversation is answered")
def model_switch(on: Stage) -> None:
    first = on.ask("FIRST-71.", Turn("ANSWER-71."))
    args = ["--resume", first["session_id"], "--model"]
    on.ask("SECOND-72.", Turn("ANSWER-72."), args=[*args, "haiku"])
    on.ask("THIRD-73.", Turn("ANSWER-73."), args=[*args, "opus"])
    _last_has(on, "FIRST-71.", "SECOND-72.", "THIRD-73.")


@scenario("effort", "each effort is answered and reaches the model side")
def effort(on: Stage) -> None:
    for name in ("low", "medium", "high", "max"):
        on.ask(f"With {name}.", Turn(f"Answered with {name}."), args=["--effort", name])
    efforts = {str(trace.request.body.get("output_config")) for trace in on.traces()}
    assert len(efforts) >= 3, efforts


@scenario("thinking", "thinking is shown to the client and comes back with its turn")
def thinking(on: Stage) -> None:
    turns = [
        Turn("Listing.", (bash("ls"),), thinking="THOUGHT-A about the files. " * 9),
        Turn("Thought through.", thinking="THOUGHT-B enough."),
    ]
    first = on.ask("Think.", *turns)
    on.ask("And now?", Turn("Once more."), args=["--resume", first["session_id"]])
    kinds = [
        block["type"] for trace in on.traces() for block in (trace.response.message or {}).get("content", [])
    ]
    assert kinds.count("thinking") == 2, kinds


@scenario("thinking off", "`MAX_THINKING_TOKENS=0` and a budget are both answered")
def thinking_off(on: Stage) -> None:
    on.ask("Go.", Turn("Without."), env={"MAX_THINKING_TOKENS": "0"})
    on.ask("Go.", Turn("With a budget."), env={"MAX_THINKING_TOKENS": "2048"})


@scenario("fallback model", "with `--fallback-model` an overloaded model does not end the session")
def fallback(on: Stage) -> None:
    def task(_: int, attempt: int) -> Turn:
        return Turn(status=529) if attempt <= 4 else Turn("Answered at last.")

    on.ask("Go.", task=task, says="Answered at last.", args=["--fallback-model", "haiku"])


@scenario("output limit", "an answer that is cut at `max_tokens` goes on")
def output_limit(on: Stage) -> None:
    on.ask("Write.", Turn("PART-1 " + "word " * 50, ends="length"), Turn("PART-2 is the rest."))
    on.seen("PART-1")


@scenario(
    "automatic compaction",
    "a task of twelve rounds outlives its compactions in a window of 40,000",
    test=SMALL_WINDOWS,
    settings={"context_tokens": 40_000},
)
def compaction(on: Stage) -> None:
    on.put("log2.txt", "".join(f"{n} sold for {n * 37 % 101}\n" for n in range(1500)))
    on.ask("Read on.", task=_rounds(12), says="All rounds are done.")
    if not on.lacked("windows below 100,000 tokens; what the host refuses is compacted (*overflow*)"):
        assert on.script.asked["compaction"] >= 1
        on.seen(SUMMARY)


@scenario(
    "overflow",
    "an upstream that refuses a long prompt is answered by a compaction",
    settings={"context_tokens": 200_000},
)
def overflow(on: Stage) -> None:
    on.ask("Read on.", task=_refused_once(_rounds(9)), says="All rounds are done.")
    assert on.script.asked["compaction"] >= 1
    on.seen(SUMMARY)


@scenario(
    "overflow in the compaction",
    "a compaction that is itself too long is tried again with less",
    settings={"context_tokens": 40_000},
)
def overflow_in_compaction(on: Stage) -> None:
    def compacting(attempt: int) -> Turn:
        return Turn(status=400, message=TOO_LONG) if attempt == 1 else summary("p1")

    on.script.compaction = compacting
    on.put("log2.txt", "".join(f"{n} sold for {n * 37 % 101}\n" for n in range(1500)))
    rounds = _rounds(12)
    unasked = not on.lacked("windows below 100,000 tokens; a refusal starts the compaction")
    on.ask("Read on.", task=rounds if unasked else _refused_once(rounds), says="All rounds are done.")
    assert on.script.asked["compaction"] >= 2


def _refused_once(rounds: Callable[[int, int], Turn]) -> Callable[[int, int], Turn]:
    """The same rounds; the sixth request is too long for the upstream."""

    def task(step: int, attempt: int) -> Turn:
        return Turn(status=400, message=TOO_LONG) if attempt == 6 else rounds(step, attempt)

    return task


def _rounds(count: int) -> Callable[[int, int], Turn]:
    """Rounds of some 3,400 tokens, counted by the task, since a compaction takes the turns away."""

    def task(_: int, attempt: int) -> Turn:
        if attempt > count:
            return Turn("All rounds are done.")
        return Turn("", (bash(f"echo round {attempt}; head -c 12000 log2.txt || head -c 9000 shelf.txt"),))

    return task


@scenario("three sessions at once", "each has its own answers and results")
def together(on: Stage) -> None:
    def one(number: int) -> None:
        turns = [Turn("", (bash(f"echo {word}-{number}"),)) for word in ("first", "second", "third")]
        on.ask(f"Session {number}.", *turns, Turn(f"Done by {number}."))

    with ThreadPoolExecutor(3) as pool:
        for future in [pool.submit(one, number) for number in (1, 2, 3)]:
            future.result()
    on.seen(*(f"third-{number}" for number in (1, 2, 3)))
    sessions = {trace.session for trace in on.traces()}
    assert len(sessions) == 3, sessions


@scenario(
    "claude-agent-sdk in Python",
    "a conversation of three turns, a tool, a permission callback, an interrupt of a command and of silence",
)
def python_sdk(on: Stage) -> None:
    asyncio.run(_python_sdk(on))
    on.seen("ran-by-sdk", "Prompt 3.", "interrupted", "Prompt 6.")


def _last_says(on: Stage, text: str) -> bool:
    return text in str(on.scripted.bodies[-1]["messages"])


async def _python_sdk(on: Stage) -> None:
    from claude_agent_sdk import AssistantMessage, ClaudeSDKClient, PermissionResultAllow, ResultMessage

    from bench.agent_sdk.options import sdk_options

    asked: list[str] = []

    async def allow(name: str, given: object, _: object) -> PermissionResultAllow:
        asked.append(name)
        return PermissionResultAllow()

    options = sdk_options(
        on.url, home=on.home, project=on.project, permission_mode="default", can_use_tool=allow
    )
    options.cli_path = on.claude
    turns = [
        [Turn("", (bash("touch made.txt && echo ran-by-sdk"),)), Turn("It ran.")],
        [Turn("", (read(on.path("till.py")),)), Turn("It is read.")],
        [Turn("The last.")],
    ]
    interrupted = [
        [Turn("", (bash("sleep 60; touch slept.txt"),)), Turn("It slept.")],
        [Turn("Too late.", wait_s=60)],
    ]
    async with ClaudeSDKClient(options) as client:

        async def said(turn: list[Turn], *, until_call: bool = False) -> str | None:
            """The result of a prompt; with `until_call` the first call is interrupted, if it comes at all."""
            await client.query(on.next_prompt(f"Prompt {on.prompts + 1}.", turn))
            result = None
            async with asyncio.timeout(60):
                async for message in client.receive_response():
                    if until_call and isinstance(message, AssistantMessage):
                        await client.interrupt()
                    if isinstance(message, ResultMessage):
                        result = message.result
            return result

        for turn in turns:
            assert await said(turn) == turn[-1].text
        await said(interrupted[0], until_call=True)
        waiting = asyncio.create_task(said(interrupted[1]))
        asks = partial(_last_says, on, "Prompt 5.")
        await asyncio.to_thread(poll, asks, timeout_s=60, what="the request", every_s=0.1)
        await client.interrupt()
        await waiting
        assert await said([Turn("It goes on.")]) == "It goes on."
    assert set(asked) == {"Bash"}, asked
    assert not (on.project / "slept.txt").exists()


_TS = """
import { query } from "@anthropic-ai/claude-agent-sdk";
const { prompts, ...given } = JSON.parse(process.env.GIVEN);
const asked = [], results = [];
let answered;
async function* said() {
  for (const content of prompts) {
    const answer = new Promise((resolve) => (answered = resolve));
    yield { type: "user", message: { role: "user", content }, parent_tool_use_id: null };
    await answer;
  }
}
async function canUseTool(name, updatedInput) {
  asked.push(name);
  return { behavior: "allow", updatedInput };
}
const systemPrompt = { type: "preset", preset: "claude_code" };
for await (const one of query({ prompt: said(), options: { ...given, systemPrompt, canUseTool } }))
  if (one.type === "result") results.push(one.result), answered();
console.log(JSON.stringify({ results, asked }));
"""


@scenario("claude-agent-sdk in TypeScript", "two turns, a tool, a permission callback")
def typescript_sdk(on: Stage) -> None:
    sdk = on.folder / "sdk"
    sdk.mkdir()
    package = f"@anthropic-ai/claude-agent-sdk@0.3.{on.version[2]}"
    quiet = ["--omit=optional", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(["npm", "install", "--prefix", str(sdk), *quiet, package], check=True, capture_output=True)
    (sdk / "day.mjs").write_text(_TS)
    environment = claude_environment(
        on.url, token="", backend="openai", model="scripted", context_tokens=200_000, environ={}
    )
    first = on.next_prompt(
        "Prompt 1.", [Turn("", (bash("touch made.txt && echo ran-by-sdk"),)), Turn("It ran.")]
    )
    second = on.next_prompt("Prompt 2.", [Turn("The last.")])
    given = {
        "prompts": [first, second],
        "pathToClaudeCodeExecutable": str(on.claude.resolve()),
        "cwd": str(on.project),
        "env": on.environment() | dict(environment.variables),
        "settings": environment.settings(),
    }
    ended = subprocess.run(
        ["node", str(sdk / "day.mjs")],
        env={"PATH": os.environ["PATH"], "GIVEN": json.dumps(given)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-1500:]
    said = json.loads(ended.stdout.splitlines()[-1])
    assert said["results"] == ["It ran.", "The last."], said
    assert said["asked"] == ["Bash"], said
    on.seen("ran-by-sdk", "Prompt 2.")
