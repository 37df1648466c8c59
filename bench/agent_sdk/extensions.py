"""Cases of `claude-agent-sdk`: a program's own tools, hooks, permissions and subagents."""

from __future__ import annotations

import base64
from typing import Any

from claude_agent_sdk import (
    AgentDefinition,
    HookContext,
    HookInput,
    HookJSONOutput,
    HookMatcher,
    PermissionResultAllow,
    PermissionResultDeny,
    ResultMessage,
    TaskNotificationMessage,
    ToolPermissionContext,
    create_sdk_mcp_server,
    tool,
)

from bench.agent_sdk.host import SdkHost, answered, result_of, results_sent, texts
from bench.agent_sdk.registry import case
from bench.recorded_day.project import png
from bench.scripted_upstream import Body, Call, Turn, in_order, text_of

SAID = "It is done."
_ADD = {
    "type": "object",
    "properties": {"terms": {"type": "array", "items": {"type": "integer"}, "minItems": 1}},
    "required": ["terms"],
    "additionalProperties": False,
}


@tool("add", "Adds numbers.", _ADD)
async def add(given: dict[str, Any]) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": f"SUM {sum(given['terms'])}"}]}


@tool("fail", "Fails.", {"type": "object", "properties": {}})
async def fail(_: dict[str, Any]) -> dict[str, Any]:
    raise ValueError("the drawer is stuck")


@tool("plot", "Draws.", {"type": "object", "properties": {}})
async def plot(_: dict[str, Any]) -> dict[str, Any]:
    data = base64.b64encode(png(6, 6)).decode()
    return {"content": [{"type": "image", "data": data, "mimeType": "image/png"}]}


def own_tools() -> dict[str, Any]:
    """The MCP server `till`, which runs in this process."""
    return {"till": create_sdk_mcp_server("till", tools=[add, fail, plot])}


def _found(*names: str) -> Call:
    wanted = ",".join(f"mcp__till__{name}" for name in names)
    return Call("ToolSearch", {"query": f"select:{wanted}", "max_results": 10})


@case(
    "a tool of the program's own, found by ToolSearch: called with valid input, its result reaches the model"
)
async def own_tool(host: SdkHost) -> None:
    call = Call("mcp__till__add", {"terms": [2, 3]})
    host.plays(Turn("", (_found("add"),)), Turn("", (call,)), Turn(SAID))
    async with host.client(mcp_servers=own_tools()) as client:
        assert texts(await answered(client, "Add."))[-1] == SAID
    assert results_sent(host.requests[-1])[-1] == "SUM 5", results_sent(host.requests[-1])
    verdicts = [call.verdict for trace in host.traces() for call in trace.tool_calls]
    assert verdicts == ["valid", "valid"], verdicts


@case("calls at once, to a tool of one's own and to one of the client's")
async def own_tool_beside_another(host: SdkHost) -> None:
    bash = Call("Bash", {"command": "echo ran", "description": "Run"})
    both = (Call("mcp__till__add", {"terms": [1]}), bash)
    host.plays(Turn("", (_found("add"),)), Turn("", both), Turn(SAID))
    await host.ask("Add and run.", mcp_servers=own_tools())
    assert sorted(results_sent(host.requests[-1])[-2:]) == ["SUM 1", "ran"]


@case("a tool of one's own that fails: the model gets the error, the turn goes on")
async def own_tool_that_fails(host: SdkHost) -> None:
    host.plays(Turn("", (_found("fail"),)), Turn("", (Call("mcp__till__fail", {}),)), Turn(SAID))
    assert result_of(await host.ask("Open.", mcp_servers=own_tools())).result == SAID
    assert "the drawer is stuck" in results_sent(host.requests[-1])[-1]


@case("a call that does not fit the schema comes back with what is wrong")
async def own_tool_with_wrong_input(host: SdkHost) -> None:
    wrong, right = Call("mcp__till__add", {"terms": "many"}), Call("mcp__till__add", {"terms": [4]})
    host.plays(Turn("", (_found("add"),)), Turn("", (wrong,)), Turn("", (right,)), Turn(SAID))
    result = result_of(await host.ask("Add.", mcp_servers=own_tools())).result
    assert result == SAID, f"the turn ended with {result!r}"
    results = results_sent(host.requests[-1])
    assert results[-1] == "SUM 4", results
    assert "SUM" not in results[-2], results


@case("a picture from a tool of one's own is told of in its place")
async def own_tool_with_a_picture(host: SdkHost) -> None:
    host.plays(Turn("", (_found("plot"),)), Turn("", (Call("mcp__till__plot", {}),)), Turn(SAID))
    assert result_of(await host.ask("Draw.", mcp_servers=own_tools())).result == SAID
    assert "picture" in results_sent(host.requests[-1])[-1], results_sent(host.requests[-1])


@case("a tool of one's own without ToolSearch (`ENABLE_TOOL_SEARCH=false`) is offered from the start")
async def own_tool_at_once(host: SdkHost) -> None:
    host.plays(Turn("", (Call("mcp__till__add", {"terms": [2, 3]}),)), Turn(SAID))
    async with host.client(
        mcp_servers=own_tools(),
        tools=[],
        settings='{"env": {"ENABLE_TOOL_SEARCH": "false"}}',
    ) as client:
        assert texts(await answered(client, "Add."))[-1] == SAID
    assert [t["function"]["name"] for t in host.requests[0]["tools"] if "add" in t["function"]["name"]]
    assert results_sent(host.requests[-1]) == ["SUM 5"]


@case("`can_use_tool`: a call is allowed with another input, another is denied with a reason")
async def permissions(host: SdkHost) -> None:
    asked: list[str] = []

    async def decide(
        name: str, given: dict[str, Any], _: ToolPermissionContext
    ) -> PermissionResultAllow | PermissionResultDeny:
        asked.append(name)
        if name == "Write":
            return PermissionResultDeny(message="Nothing is written today.")
        return PermissionResultAllow(updated_input=given | {"command": "echo instead | tee mark.txt"})

    run = Call("Bash", {"command": "touch forbidden.txt", "description": "Touch"})
    write = Call("Write", {"file_path": str(host.project / "note.txt"), "content": "x\n"})
    host.plays(Turn("", (run,)), Turn("", (write,)), Turn(SAID))
    async with host.client(permission_mode="default", can_use_tool=decide) as client:
        assert texts(await answered(client, "Go."))[-1] == SAID
    assert asked == ["Bash", "Write"], asked
    ran, denied = results_sent(host.requests[-1])
    assert ran == "instead", ran
    assert "Nothing is written today." in denied, denied
    assert not (host.project / "forbidden.txt").exists()


@case("`dontAsk`: a call that would need a permission is refused, and the model goes on")
async def nothing_is_asked(host: SdkHost) -> None:
    run = Call("Bash", {"command": "touch forbidden.txt", "description": "Touch"})
    host.plays(Turn("", (run,)), Turn(SAID))
    assert result_of(await host.ask("Go.", permission_mode="dontAsk")).result == SAID
    assert not (host.project / "forbidden.txt").exists()


@case("plan mode: `ExitPlanMode` asks the callback, then the work is done")
async def plan_mode(host: SdkHost) -> None:
    asked: list[str] = []

    async def allow(name: str, given: dict[str, Any], _: ToolPermissionContext) -> PermissionResultAllow:
        asked.append(name)
        return PermissionResultAllow(updated_input=given)

    leave = Call("ExitPlanMode", {"plan": "1. run it"})
    run = Call("Bash", {"command": "echo ran", "description": "Run"})
    search = Call("ToolSearch", {"query": "select:ExitPlanMode", "max_results": 5})
    host.plays(Turn("", (search,)), Turn("", (leave,)), Turn("", (run,)), Turn(SAID))
    async with host.client(permission_mode="plan", can_use_tool=allow) as client:
        assert texts(await answered(client, "Plan."))[-1] == SAID
    assert asked[0] == "ExitPlanMode", asked
    assert results_sent(host.requests[-1])[-1] == "ran"


@case("`AskUserQuestion`: the callback's answer reaches the model")
async def question(host: SdkHost) -> None:
    async def answer(_: str, given: dict[str, Any], __: ToolPermissionContext) -> PermissionResultAllow:
        answers = {one["question"]: "Blue" for one in given["questions"]}
        return PermissionResultAllow(updated_input=given | {"answers": answers})

    options = [{"label": label, "description": "a color"} for label in ("Red", "Blue")]
    asked = {"question": "Which color?", "header": "Color", "multiSelect": False, "options": options}
    host.plays(Turn("", (Call("AskUserQuestion", {"questions": [asked]}),)), Turn(SAID))
    async with host.client(permission_mode="default", can_use_tool=answer) as client:
        assert texts(await answered(client, "Ask."))[-1] == SAID
    assert "Blue" in results_sent(host.requests[-1])[-1]


@case("hooks: PreToolUse denies a call, PostToolUse and UserPromptSubmit add context, Stop is told")
async def hooks(host: SdkHost) -> None:
    events: list[str] = []

    async def seen(given: HookInput, _: str | None, __: HookContext) -> HookJSONOutput:
        event = given["hook_event_name"]
        events.append(event)
        if given["hook_event_name"] == "PreToolUse" and "rm " in str(given["tool_input"]):
            return {
                "hookSpecificOutput": {
                    "hookEventName": "PreToolUse",
                    "permissionDecision": "deny",
                    "permissionDecisionReason": "Nothing is removed today.",
                }
            }
        if event == "PostToolUse":
            return {"hookSpecificOutput": {"hookEventName": event, "additionalContext": "AFTER-THE-CALL"}}
        if event == "UserPromptSubmit":
            return {"hookSpecificOutput": {"hookEventName": event, "additionalContext": "BEFORE-THE-TURN"}}
        return {}

    remove = Call("Bash", {"command": "rm till.py", "description": "Remove"})
    run = Call("Bash", {"command": "echo ran", "description": "Run"})
    host.plays(Turn("", (remove,)), Turn("", (run,)), Turn(SAID))
    names: Any = ("PreToolUse", "PostToolUse", "UserPromptSubmit", "Stop")
    async with host.client(hooks={name: [HookMatcher(hooks=[seen])] for name in names}) as client:
        assert texts(await answered(client, "Go."))[-1] == SAID
    assert set(events) == set(names), events
    assert (host.project / "till.py").exists()
    last = str(host.requests[-1]["messages"])
    for said in ("Nothing is removed today.", "AFTER-THE-CALL", "BEFORE-THE-TURN"):
        assert said in last, f"{said} did not reach the model"


@case("a Stop hook that blocks: its reason reaches the model, which goes on")
async def stop_hook(host: SdkHost) -> None:
    blocked: list[bool] = []

    async def once_more(_: HookInput, __: str | None, ___: HookContext) -> HookJSONOutput:
        blocked.append(True)
        return {"decision": "block", "reason": "Run it once more."} if len(blocked) == 1 else {}

    host.plays(Turn("Too soon."), Turn(SAID))
    async with host.client(hooks={"Stop": [HookMatcher(hooks=[once_more])]}) as client:
        assert result_of(await answered(client, "Go.")).result == SAID
    assert "Run it once more." in text_of(host.requests[-1])


@case("a subagent of the program's own: its own system text and tools, its result in the conversation")
async def subagent(host: SdkHost) -> None:
    worker = AgentDefinition("Counts.", "You count boxes and nothing else.", tools=["Bash"])
    work = Call("Agent", {"description": "Count", "prompt": "Count boxes.", "subagent_type": "counter"})
    counting = in_order(
        [Turn("", (Call("Bash", {"command": "echo 9", "description": "Count"}),)), Turn("Nine.")]
    )
    leading = in_order([Turn("", (work,)), Turn("It is at work."), Turn(SAID)])

    def script(body: Body) -> Turn:
        return (counting if "You count boxes" in str(body["messages"][0]) else leading)(body)

    host.plays(script=script)
    ended = 0
    async with host.client(agents={"counter": worker}) as client:
        await client.query("Delegate.")
        async for message in client.receive_messages():
            ended += isinstance(message, TaskNotificationMessage)
            if isinstance(message, ResultMessage) and ended:
                break
    lanes = [trace.lane for trace in host.traces()]
    assert lanes.count("subagent") == 2, lanes
    own = next(body for body in host.requests if "You count boxes" in str(body["messages"][0]))
    assert "Agent" not in {tool["function"]["name"] for tool in own["tools"]}
    assert "Nine." in str(host.requests[-1]["messages"])


@case("a skill of the project is offered with `skills` and its text reaches the model")
async def skill(host: SdkHost) -> None:
    folder = host.project / ".claude/skills/count-shelf"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "SKILL.md").write_text(
        "---\nname: count-shelf\ndescription: Counts a shelf\n---\nCount the boxes slowly.\n"
    )
    host.plays(Turn("", (Call("Skill", {"skill": "count-shelf"}),)), Turn(SAID))
    assert result_of(await host.ask("Count.", skills=["count-shelf"])).result == SAID
    assert "Count the boxes slowly." in str(host.requests[-1]["messages"])
