"""Scenarios of what extends the client: ToolSearch, MCP, skills, commands, hooks, output styles."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.claude_day.scenario import scenario
from bench.claude_day.script import Task, bash, found, read
from bench.claude_day.stage import Stage
from bench.scripted_upstream import Call, Turn

SERVER = Path(__file__).with_name("mcp_server.py")


def _mcp(on: Stage, *arguments: str) -> None:
    server = {"command": sys.executable, "args": [str(SERVER), *arguments]}
    on.put(".mcp.json", {"mcpServers": {"odd": server}})
    on.put(".claude/settings.local.json", {"enableAllProjectMcpServers": True})


@scenario("ToolSearch", "a deferred tool is found, called, and its result arrives")
def tool_search(on: Stage) -> None:
    cell = {"cell_id": "c1", "new_source": "print('edited')", "edit_mode": "replace"}
    on.ask(
        "Edit the notebook.",
        Turn("", (found("NotebookEdit"),)),
        Turn("", (read(on.path("prices.ipynb")),)),
        Turn("", (Call("NotebookEdit", {"notebook_path": on.path("prices.ipynb")} | cell),)),
        Turn("It is edited."),
    )
    assert "print('edited')" in (on.project / "prices.ipynb").read_text()


@scenario("deferred tool called unsearched", "the client answers the call; the model can go on")
def not_searched(on: Stage) -> None:
    call = Call("WebFetch", {"url": "http://127.0.0.1:9/", "prompt": "what"})
    on.ask("Fetch.", Turn("Fetching.", (call,)), Turn("The turn went on."))
    assert len(on.bodies()) == 2


@scenario("MCP with odd schemas", "recursive, dotted, empty and union schemas; pictures, errors, resources")
def mcp(on: Stage) -> None:
    _mcp(on, *_but_open(on))
    names = ("echo", "strict", "picture", "union", "tree", "fails", "open")
    tree = {"tree": {"name": "r", "children": [{"name": "c", "children": []}]}}
    turns = [
        Turn("", (found(*(f"mcp__odd__{name}" for name in names)),)),
        Turn("", (Call("mcp__odd__echo", {"text": "hi there"}),)),
        Turn("", (Call("mcp__odd__strict", {"items": [1, 2], "mode": "a", "a-b": True}),)),
        Turn("", (Call("mcp__odd__picture", {}), Call("mcp__odd__union", {"value": [1, "x"]}))),
        Turn("", (Call("mcp__odd__tree", tree), Call("mcp__odd__fails", {}))),
        Turn("", (Call("mcp__odd__open", {"any": 1}),)),
        Turn("The server was used."),
    ]
    on.ask("Use the server.", task=_once_there(on, turns), says=turns[-1].text)
    on.seen("echo got", "hi there", "strict got", "a picture", "union got", "EMBEDDED-TEXT", "it failed")
    if not on.lacks:
        on.seen("open got")


@scenario("MCP tools that come late", "a slow server, and a tool that it gains after the first call")
def mcp_late(on: Stage) -> None:
    _mcp(on, "--late", "2")
    on.ask(
        "Use the server.",
        Turn("", (bash("sleep 3; echo waited"),)),
        Turn("", (found("mcp__odd__first"),)),
        Turn("", (Call("mcp__odd__first", {}),)),
        Turn("", (bash("sleep 1; echo again"),)),
        Turn("", (found("mcp__odd__second"),)),
        Turn("", (Call("mcp__odd__second", {"q": "x"}),)),
        Turn("Both were used."),
    )
    on.seen("first got", "second got")


@scenario("MCP server that ends", "a call to a server that has died is an error for the model")
def mcp_dies(on: Stage) -> None:
    _mcp(on, *_but_open(on))
    turns = [
        Turn("", (found("mcp__odd__dies", "mcp__odd__echo"),)),
        Turn("", (Call("mcp__odd__dies", {}),)),
        Turn("", (bash("echo after-the-death"),)),
        Turn("The turn went on."),
    ]
    on.ask("Use the server.", task=_once_there(on, turns), says=turns[-1].text)
    on.seen("after-the-death")
    assert "No such tool" not in json.dumps(on.bodies()[-1]["messages"])


def _but_open(on: Stage) -> tuple[str, ...]:
    """The server's options for a client that does not take its tool `open`."""
    what = "schemas with `true` for a property: it then knows none of the server's tools"
    return ("--without", "open") if on.lacked(what) else ()


def _once_there(on: Stage, turns: Sequence[Turn]) -> Task:
    """The turns once the client knows the server, which 2.1.197 does not wait for."""
    waited = 0

    def task(step: int, _: int) -> Turn:
        nonlocal waited
        if step == waited and "SERVER-TEXT-12" not in json.dumps(on.bodies()[-1]["messages"]):
            waited += 1
            return Turn("", (bash("sleep 1"),))
        return turns[min(step - waited, len(turns) - 1)]

    return task


@scenario("skill", "its text reaches the model with the arguments")
def skill(on: Stage) -> None:
    on.put(
        ".claude/skills/greet/SKILL.md",
        "---\nname: greet\ndescription: Greets\n---\nSKILL-TEXT-4411 greet $ARGUMENTS loudly.\n",
    )
    on.ask("Greet.", Turn("", (Call("Skill", {"skill": "greet", "args": "the world"}),)), Turn("Greeted."))
    on.seen("SKILL-TEXT-4411 greet the world loudly.")


@scenario("own command", "a file of `.claude/commands` becomes the prompt")
def command(on: Stage) -> None:
    on.put(".claude/commands/tally.md", "COMMAND-TEXT-7 count $ARGUMENTS now. [tally]\n")
    on.on("tally", Turn("Tallied."))
    on.ask("/tally the boxes", says="Tallied.")
    on.seen("COMMAND-TEXT-7 count the boxes now.")


def _hooks(on: Stage, event: str, *hooks: Mapping[str, object], matcher: str = "") -> None:
    entry: dict[str, object] = {"hooks": list(hooks)} | ({"matcher": matcher} if matcher else {})
    on.put(".claude/settings.json", {"hooks": {event: [entry]}})


def _says(text: str) -> dict[str, object]:
    return {"type": "command", "command": f"echo '{text}'"}


def _context(event: str, text: str) -> dict[str, object]:
    return _says(json.dumps({"hookSpecificOutput": {"hookEventName": event, "additionalContext": text}}))


@scenario("hook: session start", "its output reaches the model")
def hook_start(on: Stage) -> None:
    _hooks(on, "SessionStart", _says("HOOK-START-1"))
    on.ask("Hello.", Turn("Hello."))
    on.seen("HOOK-START-1")


@scenario("hook: prompt", "its context stands beside the prompt")
def hook_prompt(on: Stage) -> None:
    _hooks(on, "UserPromptSubmit", _context("UserPromptSubmit", "HOOK-PROMPT-2"))
    on.ask("Hello.", Turn("Hello."))
    on.seen("HOOK-PROMPT-2")


@scenario("hook: before a tool", "it blocks the call; the model gets its reason")
def hook_before(on: Stage) -> None:
    blocks = {"type": "command", "command": "echo HOOK-BLOCK-3 >&2; exit 2"}
    _hooks(on, "PreToolUse", blocks, matcher="Bash")
    on.ask("Make it.", Turn("", (bash("touch made.txt"),)), Turn("It is blocked."))
    assert not (on.project / "made.txt").exists()
    on.seen("HOOK-BLOCK-3")


@scenario("hook: input changed", "the command that runs is the hook's")
def hook_changes(on: Stage) -> None:
    changed = {
        "hookSpecificOutput": {
            "hookEventName": "PreToolUse",
            "permissionDecision": "allow",
            "updatedInput": {"command": "echo changed-by-hook", "description": "x"},
        }
    }
    _hooks(on, "PreToolUse", _says(json.dumps(changed)), matcher="Bash")
    on.ask("Run it.", Turn("", (bash("echo as-it-was"),)), Turn("It ran."))
    on.seen("changed-by-hook")


@scenario("hook: after a tool", "its context stands beside the result")
def hook_after(on: Stage) -> None:
    _hooks(on, "PostToolUse", _context("PostToolUse", "HOOK-AFTER-4"), matcher="Bash")
    on.ask("Run it.", Turn("", (bash("echo ran"),)), Turn("It ran."))
    on.seen("HOOK-AFTER-4")


@scenario("hook: stop", "a command keeps the model at work once")
def hook_stop(on: Stage) -> None:
    script = "test -e stopped && exit 0; touch stopped; echo HOOK-STOP-5 go on >&2; exit 2"
    _hooks(on, "Stop", {"type": "command", "command": script})
    on.ask("Work.", Turn("The first end."), Turn("The second end."))
    on.seen("HOOK-STOP-5 go on")


@scenario("hook: asks a model", "a prompt hook judges the turn; its answer has the form asked for")
def hook_model(on: Stage) -> None:
    _hooks(on, "Stop", {"type": "prompt", "prompt": "HOOK-JUDGE-6 is the task done?"})
    on.ask("Work.", Turn("", (bash("echo ran"),)), Turn("It is done."))
    on.seen("HOOK-JUDGE-6 is the task done?")


@scenario("output style", "its text is in the system text")
def output_style(on: Stage) -> None:
    on.put(
        ".claude/output-styles/terse.md",
        "---\nname: terse\ndescription: Short\n---\nSTYLE-TEXT-88 be short.\n",
    )
    on.put(".claude/settings.json", {"outputStyle": "terse"})
    on.ask("Hello.", Turn("Hello."))
    on.seen("STYLE-TEXT-88")
