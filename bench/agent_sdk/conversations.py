"""Cases of `claude-agent-sdk`: prompts, several turns, sessions, options and errors."""

from __future__ import annotations

import asyncio
from typing import Any

from claude_agent_sdk import (
    AssistantMessage,
    ClaudeSDKError,
    StreamEvent,
    SystemMessage,
    ToolUseBlock,
)

from bench.agent_sdk.host import SdkHost, answered, result_of, results_sent, texts, user_messages
from bench.agent_sdk.registry import case
from bench.recorded_day.project import picture_block
from bench.scripted_upstream import Call, Turn, text_of

SAID = "The till adds up."
BASH = Turn("I will run it.", (Call("Bash", {"command": "echo ran", "description": "Run it"}),))


@case("`query()` with a text: one answer, a result, and usage as in the trace")
async def query_with_a_text(host: SdkHost) -> None:
    host.plays(Turn(SAID))
    messages = await host.ask("Does it add up?")
    result = result_of(messages)
    assert (result.subtype, result.is_error, result.result) == ("success", False, SAID), result
    assert texts(messages) == [SAID], texts(messages)
    usage, [trace] = result.usage or {}, host.traces()
    counted = (usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"])
    traced = trace.usage
    assert counted == (traced.input_tokens, traced.cache_read_input_tokens, traced.output_tokens), usage


@case("`query()` with a stream of messages")
async def query_with_a_stream(host: SdkHost) -> None:
    host.plays(Turn("One."), Turn("Two."))
    messages = await host.ask(user_messages("First?", "Second?"))
    assert not result_of(messages).is_error
    said = text_of(host.requests[-1])
    assert "First?" in said, said
    assert "Second?" in said, said


@case("a picture in a prompt is told of in its place")
async def picture_in_a_prompt(host: SdkHost) -> None:
    host.plays(Turn(SAID))
    content = [{"type": "text", "text": "What is this?"}, picture_block()]
    assert not result_of(await host.ask(user_messages(content))).is_error
    last = str(host.requests[-1]["messages"])
    assert "What is this?" in last
    assert "image" in last or "picture" in last, last[-500:]


@case("`ClaudeSDKClient` with three turns: each request goes on from the one before")
async def several_turns(host: SdkHost) -> None:
    host.plays(Turn("One."), BASH, Turn("Two."), Turn("Three."))
    async with host.client() as client:
        answers = [texts(await answered(client, word))[-1] for word in ("first", "second", "third")]
    assert answers == ["One.", "Two.", "Three."], answers
    for earlier, later in zip(host.requests, host.requests[1:], strict=False):
        count = len(earlier["messages"])
        assert later["messages"][:count] == earlier["messages"], "a request does not go on from the last one"
    assert results_sent(host.requests[-1]) == ["ran"]


@case("partial messages: the text's deltas add up to the answer")
async def partial_messages(host: SdkHost) -> None:
    host.plays(BASH, Turn(SAID))
    messages = await host.ask("Go.", include_partial_messages=True)
    events = [message.event for message in messages if isinstance(message, StreamEvent)]
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    assert "".join(d.get("text", "") for d in deltas) == BASH.text + SAID
    assert '"echo ran"' in "".join(d.get("partial_json", "") for d in deltas)
    kinds = [event["type"] for event in events]
    assert kinds.count("message_start") == kinds.count("message_stop") == 2, kinds


@case("an interrupt while a command runs; the conversation goes on")
async def interrupt_in_a_command(host: SdkHost) -> None:
    host.plays(Turn("", (Call("Bash", {"command": "sleep 60", "description": "Wait"}),)), Turn(SAID))
    async with host.client() as client:
        await client.query("Wait.")
        async for message in client.receive_response():
            if any(isinstance(block, ToolUseBlock) for block in getattr(message, "content", ())):
                await client.interrupt()
        assert texts(await answered(client, "Go on."))[-1] == SAID
    assert "interrupted" in str(host.requests[-1]["messages"]), "the model is not told of the interrupt"


@case("an interrupt while the model is silent; the upstream is let go, the conversation goes on")
async def interrupt_in_silence(host: SdkHost) -> None:
    host.plays(Turn(SAID), faults=(0,))
    async with host.client() as client:
        await client.query("Think for ever.")
        await asyncio.sleep(0.5)
        await client.interrupt()
        _ = [message async for message in client.receive_response()]
        assert texts(await answered(client, "Go on."))[-1] == SAID


@case("structured output: an object that fits the schema")
async def structured_output(host: SdkHost) -> None:
    given = {"total": 250, "currency": "pounds"}
    schema = {
        "type": "object",
        "properties": {"total": {"type": "integer"}, "currency": {"type": "string"}},
        "required": ["total", "currency"],
    }
    host.plays(
        Turn("", (Call("StructuredOutput", {"total": "much"}),)), Turn("", (Call("StructuredOutput", given),))
    )
    messages = await host.ask("The total?", output_format={"type": "json_schema", "schema": schema})
    assert result_of(messages).structured_output == given, result_of(messages)


@case("`resume` goes on with a session; `fork_session` does in a new one")
async def resume_and_fork(host: SdkHost) -> None:
    host.plays(Turn("One."), Turn("Two."), Turn("Three."))
    first = result_of(await host.ask("first"))
    resumed = result_of(await host.ask("second", resume=first.session_id))
    forked = result_of(await host.ask("third", resume=first.session_id, fork_session=True))
    assert (resumed.result, resumed.session_id) == ("Two.", first.session_id), resumed
    assert forked.session_id != first.session_id
    assert "first" in text_of(host.requests[-1])


@case("`continue_conversation` goes on with the last session of the folder")
async def continued(host: SdkHost) -> None:
    host.plays(Turn("One."), Turn("Two."))
    first = result_of(await host.ask("the first words"))
    second = result_of(await host.ask("second", continue_conversation=True))
    assert (second.session_id, second.result) == (first.session_id, "Two."), second
    assert "the first words" in text_of(host.requests[-1])


@case("the transcript on disk holds what was said")
async def transcript(host: SdkHost) -> None:
    host.plays(Turn(SAID))
    result = result_of(await host.ask("Does it add up?"))
    files = list((host.folder / "client/.claude/projects").glob(f"*/{result.session_id}.jsonl"))
    assert len(files) == 1, files
    assert SAID in files[0].read_text()


@case("`max_turns` ends the work with its own result")
async def max_turns(host: SdkHost) -> None:
    host.plays(*[BASH] * 5)
    subtype = ""
    async with host.client(max_turns=2) as client:
        subtype = result_of(await answered(client, "Go.")).subtype
    assert subtype == "error_max_turns", subtype
    assert len(host.requests) == 2, len(host.requests)


@case("a busy upstream (529, 500) is asked again; the SDK sees an answer alone")
async def busy_upstream(host: SdkHost) -> None:
    host.plays(Turn(SAID), faults=(529, 500))
    messages = await host.ask("Does it add up?")
    assert result_of(messages).result == SAID, result_of(messages)
    assert not any(message.error for message in messages if isinstance(message, AssistantMessage))


@case("an upstream that refuses (400): an error result that says why, no hang")
async def refusing_upstream(host: SdkHost) -> None:
    host.plays(Turn(SAID), faults=(400,) * 12)
    async with host.client() as client:
        result = result_of(await answered(client, "Does it add up?"))
    assert result.is_error, result
    assert result.api_error_status == 400, result
    assert "a fault of 400" in str(result.result), result


@case("a session that does not exist: the SDK raises, nothing reaches the model")
async def unknown_session(host: SdkHost) -> None:
    host.plays(Turn(SAID))
    try:
        result = result_of(await host.ask("Go on.", resume="00000000-0000-4000-8000-000000000000"))
    except ClaudeSDKError:
        pass
    else:
        assert result.is_error, result
    assert host.requests == []


@case("`set_model` and `set_permission_mode` within a session")
async def switches(host: SdkHost) -> None:
    host.plays(Turn("One."), Turn("Two."))
    async with host.client() as client:
        await answered(client, "first")
        await client.set_model("claude-of-my-own")
        await client.set_permission_mode("plan")
        await answered(client, "second")
    models = [trace.request.body["model"] for trace in host.traces()]
    assert (models[0], models[-1]) == ("scripted", "claude-of-my-own"), models
    assert "plan" in text_of(host.requests[-1]).lower(), "the model is not told of plan mode"


@case("`system_prompt`: a text of one's own, and an appended one")
async def system_prompts(host: SdkHost) -> None:
    host.plays(Turn(SAID))
    await host.ask("Hi", system_prompt="You are a till.")
    assert "You are a till." in _system(host)
    await host.ask("Hi", system_prompt={"type": "preset", "preset": "claude_code", "append": "Speak softly."})
    assert "Speak softly." in _system(host)


@case("`tools`, `disallowed_tools`: the model is offered these alone")
async def chosen_tools(host: SdkHost) -> None:
    host.plays(Turn(SAID))
    await host.ask("Hi", tools=["Bash", "Read", "Edit"], disallowed_tools=["Edit"])
    offered = {tool["function"]["name"] for tool in host.requests[-1]["tools"]}
    assert {"Bash", "Read"} <= offered, offered
    assert not {"Edit", "Write", "Agent"} & offered, offered


@case("`setting_sources`: the project's CLAUDE.md with `project`, not without")
async def setting_sources(host: SdkHost) -> None:
    host.plays(Turn(SAID))
    await host.ask("Hi", setting_sources=["project"])
    assert "The project's own words." in text_of(host.requests[-1])
    await host.ask("Hi", setting_sources=[])
    assert "The project's own words." not in str(host.requests[-1]["messages"])


@case("`effort` and `thinking` reach the host")
async def effort_and_thinking(host: SdkHost) -> None:
    host.plays(Turn(SAID))
    await host.ask("Hi", effort="low", thinking={"type": "disabled"})
    body = host.traces()[-1].request.body
    assert body["output_config"]["effort"] == "low", body.get("output_config")
    assert body.get("thinking", {"type": "disabled"})["type"] == "disabled", body["thinking"]


@case("`/compact`: the summary takes the conversation's place")
async def compact(host: SdkHost) -> None:
    summary = Turn("<analysis>It adds.</analysis><summary>The user wants a till.</summary>")
    host.plays(script=lambda body: summary if "TEXT ONLY" in str(body["messages"][-1]) else Turn(SAID))
    async with host.client() as client:
        await answered(client, "Mend the till. " + "Mind the prices. " * 50)
        compacted = await answered(client, "/compact")
        kinds = {message.subtype for message in compacted if isinstance(message, SystemMessage)}
        assert "compact_boundary" in kinds, kinds
        assert texts(await answered(client, "Go on.")) == [SAID]
    said = text_of(host.requests[-1])
    assert "The user wants a till." in said
    assert "Mind the prices." not in said


@case("`get_context_usage`, `get_server_info`, `get_mcp_status` answer")
async def control_requests(host: SdkHost) -> None:
    host.plays(Turn(SAID))
    async with host.client() as client:
        await answered(client, "Hi")
        usage: Any = await client.get_context_usage()
        assert usage["totalTokens"] > 0, usage
        assert usage["maxTokens"] == 200_000, usage["maxTokens"]
        assert (await client.get_server_info() or {})["commands"]
        assert (await client.get_mcp_status())["mcpServers"] == []


@case("`rewind_files` takes back an edit")
async def rewind(host: SdkHost) -> None:
    file = host.project / "till.py"
    read = Call("Read", {"file_path": str(file)})
    edit = Call("Edit", {"file_path": str(file), "old_string": "6 - 7", "new_string": "6 + 7"})
    host.plays(Turn("", (read,)), Turn("", (edit,)), Turn(SAID))
    before = file.read_text()
    more: dict[str, Any] = {"enable_file_checkpointing": True, "extra_args": {"replay-user-messages": None}}
    async with host.client(**more) as client:
        messages = await answered(client, "Mend it.")
        assert file.read_text() == "print(6 + 7)\n"
        prompt = next(uuid for m in messages if (uuid := getattr(m, "uuid", None)) and "Mend it." in str(m))
        await client.rewind_files(prompt)
    assert file.read_text() == before


@case("three sessions at once: each gets its own answers")
async def at_once(host: SdkHost) -> None:
    host.plays(script=lambda body: Turn(f"You said {text_of(body).split('number ')[1][0]}."))
    results = await asyncio.gather(*(host.ask(f"I am number {n}") for n in range(3)))
    assert [result_of(messages).result for messages in results] == [f"You said {n}." for n in range(3)]


def _system(host: SdkHost) -> str:
    return str(host.requests[-1]["messages"][0]["content"])
