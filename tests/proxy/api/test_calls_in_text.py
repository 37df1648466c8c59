"""Calls and thinking in another server's text, through the proxy: what is carried out, and what is shown."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.tool_calls.families.registry import FAMILIES, family_named
from engine.tool_calls.quoted.call_forms import ANY_FAMILY, CallForms, forms_of
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas
from proxy.backends.factory import make_backend
from proxy.backends.openai import OpenAIBackend
from proxy.backends.upstream import Finish, TextDelta
from proxy.configuration.known_backends import KNOWN_BACKENDS
from proxy.configuration.settled import HostConfig
from proxy.record.structured_calls import StructuredCalls
from proxy.translate.response import Answer
from proxy.translate.tools import tool_set
from tests.proxy.live import DONE, FINISH, USAGE, Proxy, Upstream, calls, delta, proxy, says, serve, sse
from tests.proxy.translate.test_response import answer_spec

PATH = "/v1/messages"
COMMAND = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
BASH = {"name": "Bash", "input_schema": COMMAND}
SCHEMAS = ToolSchemas([ToolSchema("Bash", COMMAND)])
REMOVE = {"command": "rm precious.txt"}
LINE = json.dumps({"name": "Bash", "arguments": REMOVE})
HERMES = f"<tool_call>\n{LINE}\n</tool_call>"

Blocks = list[tuple[str, Any]]


def body(**fields: Any) -> dict[str, Any]:
    turn = {"role": "user", "content": "How does a call look?"}
    return {"model": "claude-test", "max_tokens": 2000, "messages": [turn], "tools": [BASH], **fields}


def cut(text: str, size: int = 9) -> list[Any]:
    return says(*(text[at : at + size] for at in range(0, len(text), size)))


def blocks_of(message: dict[str, Any]) -> Blocks:
    said = {"text": "text", "thinking": "thinking", "tool_use": "input"}
    return [(block["type"], block[said[block["type"]]]) for block in message["content"]]


def streamed(text: str) -> Blocks:
    """The blocks of a stream, put together from its deltas."""
    blocks: list[tuple[str, list[str]]] = []
    for event in sse(text):
        if event["type"] == "content_block_start":
            blocks.append((event["content_block"]["type"], []))
        elif event["type"] == "content_block_delta":
            fields = ("text", "thinking", "partial_json")
            blocks[-1][1].extend(event["delta"][name] for name in fields if name in event["delta"])
    joined = [(kind, "".join(pieces)) for kind, pieces in blocks]
    return [(kind, json.loads(text) if kind == "tool_use" else text) for kind, text in joined]


Ask = Callable[[list[Any]], Awaitable[tuple[Blocks, list[str]]]]


@asynccontextmanager
async def asking(folder: Path, model: str = "m", **fields: Any) -> AsyncIterator[Ask]:
    """Plays answers: gives the blocks of one, the same whole and streamed, and the notes of its trace."""
    upstream = Upstream()
    async with serve(upstream) as url, proxy(folder, OpenAIBackend(f"{url}/v1", model)) as running:

        async def ask(answer: list[Any]) -> tuple[Blocks, list[str]]:
            upstream.answer = answer
            whole = (await running.http.post(PATH, json=body(**fields))).json()
            stream = (await running.http.post(PATH, json=body(stream=True, **fields))).text
            blocks = blocks_of(whole)
            assert streamed(stream) == blocks
            called = any(kind == "tool_use" for kind, _ in blocks)
            assert whole["stop_reason"] == ("tool_use" if called else "end_turn")
            return blocks, running.traces()[-1].notes

        yield ask


async def answered(
    folder: Path, answer: list[Any], model: str = "m", **fields: Any
) -> tuple[Blocks, list[str]]:
    async with asking(folder, model, **fields) as ask:
        return await ask(answer)


SHOWN = [
    f"A call to delete it would look like this:\n{LINE}\nDo not run it: the file is needed.",
    f"Here is an example of a call, please do not run it:\n\n```json\n{LINE}\n```\n",
    f"Do not run it:\n{HERMES}\nThe file is needed.",
    f"```\n{HERMES}\n```",
    f"Models write `{HERMES.replace(chr(10), '')}`",
    f"> {HERMES}",
    LINE,
    f"```json\n{LINE}\n```",
    'Bash(command="rm precious.txt")',
    'Action: Bash\nAction Input: {"command": "rm precious.txt"}',
    "<Bash><command>rm precious.txt</command></Bash>",
    "Qwen writes\n<function=Bash>\n<parameter=command>\nrm x\n</parameter>\n</function>\nand so on.",
    f"<tool_call>{LINE[:-3]}",
]


async def test_a_text_that_shows_a_call_is_not_carried_out(tmp_path: Path) -> None:
    async with asking(tmp_path) as ask:
        for text in SHOWN:
            blocks, notes = await ask(cut(text))
            assert blocks == [("text", text)]
            assert notes or "name" not in text


async def test_calls_at_the_end_are_carried_out_in_every_familys_own_marks(tmp_path: Path) -> None:
    async with asking(tmp_path) as ask:
        for family in FAMILIES:
            text = family.write([("Bash", {"command": "ls"}), ("Bash", {"command": "pwd"})], SCHEMAS)
            blocks, _ = await ask(cut(f"I look.\n\n{text}\n"))
            assert blocks[0][1].strip() == "I look."
            assert blocks[1:] == [("tool_use", {"command": "ls"}), ("tool_use", {"command": "pwd"})]


ENDS_OF_TURNS = [
    *("</s>", "<eos>", "<end_of_turn>", "<|im_end|>\n", "<|eot_id|>", "<|observation|>", "<|return|>"),
    *(
        "<｜end▁of▁sentence｜>",
        "<turn|>",
        "<|tool_response>",
        "<start_function_response>",
        "<seed:eos>",
        "[e~[",
    ),
]


def test_the_mark_that_ends_a_turn_follows_no_call() -> None:
    for family, end in itertools.product(FAMILIES, ENDS_OF_TURNS):
        text = family.write([("Bash", {"command": "ls"}), ("Bash", {"command": "pwd"})], SCHEMAS) + end
        for forms in (ANY_FAMILY, CallForms((family,))):
            answer = Answer(answer_spec(tools=tool_set([BASH]), call_forms=forms, mixed_thinking=True))
            for letter in text:
                answer.feed(TextDelta(letter))
            answer.feed(Finish("stop", output_tokens=1))
            blocks = blocks_of(answer.message())
            assert blocks == [("tool_use", {"command": "ls"}), ("tool_use", {"command": "pwd"})], text


async def test_what_the_answers_limit_has_cut_is_not_carried_out(tmp_path: Path) -> None:
    limit = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}
    upstream = Upstream([delta(content=HERMES), limit, USAGE, DONE])
    async with serve(upstream) as url, proxy(tmp_path, OpenAIBackend(f"{url}/v1", "m")) as running:
        message = (await running.http.post(PATH, json=body(max_tokens=3))).json()
    assert (blocks_of(message), message["stop_reason"]) == ([("text", HERMES)], "max_tokens")


THINKS = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
MUSED = f"One way is {HERMES} but no."


THOUGHT: list[tuple[list[Any], Blocks]] = [
    (cut(f"<think>{MUSED}</think>\n\nShall I?"), [("thinking", MUSED), ("text", "Shall I?")]),
    (cut(f"[THINK]{MUSED}[/THINK]Shall I?"), [("thinking", MUSED), ("text", "Shall I?")]),
    (
        [
            delta(reasoning_content=f"<think>{MUSED}"),
            delta(reasoning_content="</think>\n"),
            *cut("Shall I?"),
        ],
        [("thinking", MUSED), ("text", "Shall I?")],
    ),
    (cut(f"<think>Now {HERMES}"), [("thinking", "Now "), ("text", HERMES)]),
    (
        [delta(reasoning_content=f"Now {HERMES}"), FINISH, USAGE, DONE],
        [("thinking", "Now "), ("text", HERMES)],
    ),
    (
        [delta(reasoning_content=f"Now {HERMES}"), *cut("Done.")],
        [("thinking", f"Now {HERMES}"), ("text", "Done.")],
    ),
    (
        [
            delta(reasoning_content=f"Now {HERMES}"),
            calls("Bash", '{"command": "ls"}'),
            FINISH,
            USAGE,
            DONE,
        ],
        [("thinking", f"Now {HERMES}"), ("tool_use", {"command": "ls"})],
    ),
    (cut(f"<think>Now {HERMES}</think>\n"), [("thinking", "Now "), ("text", HERMES)]),
    (
        [
            delta(content=f"<think>Now {HERMES}</think>\n"),
            calls("Bash", '{"command": "ls"}'),
            FINISH,
            USAGE,
            DONE,
        ],
        [("thinking", f"Now {HERMES}"), ("tool_use", {"command": "ls"})],
    ),
    (cut(f"<think>hm</think>{HERMES}"), [("thinking", "hm"), ("tool_use", REMOVE)]),
    (cut("Put `<think>` and </think> there."), [("text", "Put `<think>` and </think> there.")]),
]


async def test_nothing_is_carried_out_that_was_only_thought(tmp_path: Path) -> None:
    async with asking(tmp_path, **THINKS) as ask:
        for answer, blocks in THOUGHT:
            assert (await ask(answer))[0] == blocks


async def test_a_call_in_a_thought_that_is_not_asked_for_is_no_empty_turn(tmp_path: Path) -> None:
    blocks, notes = await answered(tmp_path, cut(f"<think>Now {HERMES}"))
    assert blocks == [("text", HERMES)]
    assert any("at the end of a thought" in note for note in notes)


async def test_a_thought_that_never_ended_swallows_no_answer(tmp_path: Path) -> None:
    async with asking(tmp_path) as ask:
        for text in ("<think>It is Ulm.", "The mark is\n<think>\nand no other."):
            blocks, notes = await ask(cut(text))
            assert (
                "".join(said for _, said in blocks)
                .replace("\n", " ")
                .endswith(text.split("<think>")[1].strip())
            )
            assert any("never ended" in note for note in notes)


async def test_thinking_that_no_mark_has_opened_is_thinking_in_a_whole_message(tmp_path: Path) -> None:
    upstream = Upstream(cut(f"{MUSED}</think>\n\nShall I?"))
    async with serve(upstream) as url, proxy(tmp_path, OpenAIBackend(f"{url}/v1", "m")) as running:
        whole = (await running.http.post(PATH, json=body(**THINKS))).json()
        stream = (await running.http.post(PATH, json=body(stream=True, **THINKS))).text
    assert blocks_of(whole) == [("thinking", MUSED), ("text", "Shall I?")]
    assert streamed(stream) == [("text", f"{MUSED}Shall I?")]


async def test_text_that_turns_out_to_be_thinking_leaves_no_turn_empty(tmp_path: Path) -> None:
    async with asking(tmp_path) as ask:
        blocks, _ = await ask(cut("It is Ulm.</think>\n"))
    assert blocks == [("text", "It is Ulm.")]


async def ask_twice(running: Proxy, upstream: Upstream, text: str, *, session: str, history: bool) -> Blocks:
    """A call that is told apart, then a text that ends with one, in one conversation."""
    headers = {"x-claude-code-session-id": session} if session else {}
    upstream.answer = [calls("Bash", '{"command": "ls"}', id="call_0123456789ab"), FINISH, USAGE, DONE]
    first = (await running.http.post(PATH, json=body(), headers=headers)).json()
    [used] = first["content"]
    result = {"type": "tool_result", "tool_use_id": used["id"], "content": "precious.txt"}
    more = [{"role": "assistant", "content": [used]}, {"role": "user", "content": [result]}]
    asked = body()
    asked["messages"] += more if history else []
    upstream.answer = cut(text)
    return blocks_of((await running.http.post(PATH, json=asked, headers=headers)).json())


@pytest.mark.parametrize(
    ("session", "history", "searched"), [("s-1", False, False), ("", True, False), ("", False, True)]
)
async def test_where_calls_were_told_apart_the_conversations_text_is_not_searched(
    tmp_path: Path, session: str, history: bool, searched: bool
) -> None:
    upstream = Upstream()
    async with serve(upstream) as url, proxy(tmp_path, OpenAIBackend(f"{url}/v1", "m")) as running:
        blocks = await ask_twice(running, upstream, HERMES, session=session, history=history)
    assert blocks == [("tool_use", REMOVE) if searched else ("text", HERMES)]


@pytest.mark.parametrize("name", sorted(KNOWN_BACKENDS))
async def test_a_backend_that_tells_calls_apart_has_no_calls_in_its_text(tmp_path: Path, name: str) -> None:
    known = KNOWN_BACKENDS[name]
    if known.kind != "openai":
        return
    async with serve(Upstream(cut(HERMES))) as url:
        for tool_format, searched in (("", not known.structured_calls), ("hermes", True), ("kimi", False)):
            config = HostConfig(
                backend="openai",
                backend_name=name,
                backend_url=f"{url}/v1",
                model="m",
                home=tmp_path,
                tool_format=tool_format,
            )
            async with proxy(tmp_path, make_backend(config, str)) as running:
                message = (await running.http.post(PATH, json=body())).json()
            assert message["stop_reason"] == ("tool_use" if searched else "end_turn"), tool_format


@pytest.mark.parametrize(
    ("model", "families"),
    [
        ("Qwen/Qwen3-Coder-30B-A3B-Instruct", ("hermes", "qwen3_coder")),
        ("zai-org/GLM-4.6", ("glm",)),
        ("deepseek-v3.2-exp", ("deepseek_v3", "deepseek_v31", "deepseek_v32", "deepseek_v4")),
        ("moonshotai/Kimi-K2-Instruct", ("kimi", "kimi_k3")),
        ("mistralai/Devstral-Small-2507", ("mistral", "mistral_v3")),
        ("openai/gpt-oss-20b", ("harmony",)),
        ("MiniMaxAI/MiniMax-M2", ("minimax", "minimax_m3", "minimax_m1")),
        ("google/gemma-4-27b-it", ("gemma4", "function_gemma", "gemma3")),
        ("NousResearch/Hermes-3-Llama-3.1-8B", ("hermes",)),
        ("mystery", tuple(family.name for family in FAMILIES)),
    ],
)
def test_a_models_name_tells_how_it_writes_calls(model: str, families: tuple[str, ...]) -> None:
    forms = forms_of(model)
    assert tuple(family.name for family in forms.families) == families
    assert "json" not in forms.bare
    assert forms_of(model, "glm").families == (family_named("glm"),)


async def test_a_call_in_another_familys_marks_is_shown(tmp_path: Path) -> None:
    kimi = family_named("kimi").write([("Bash", REMOVE)], SCHEMAS)
    blocks, notes = await answered(tmp_path, cut(kimi), model="GLM-4.6")
    assert blocks == [("text", kimi)]
    assert any("its model's own marks" in note for note in notes)


@pytest.mark.parametrize(
    ("model", "text", "called"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", LINE, True),
        ("meta-llama/Llama-3.1-8B-Instruct", LINE.replace("arguments", "parameters"), True),
        ("meta-llama/Llama-3.1-8B-Instruct", f"So:\n{LINE}", False),
        ("meta-llama/Llama-3.1-8B-Instruct", f"{LINE}\nDo not run it.", False),
        ("m", LINE, False),
    ],
)
async def test_bare_json_is_a_call_as_the_whole_answer_of_a_llama_only(
    tmp_path: Path, model: str, text: str, called: bool
) -> None:
    blocks, _ = await answered(tmp_path, cut(text), model=model)
    assert blocks == [("tool_use", REMOVE) if called else ("text", text)]


async def test_json_that_was_asked_for_is_no_call(tmp_path: Path) -> None:
    wanted = {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}
    blocks, _ = await answered(tmp_path, cut(LINE), model="llama-3.1", **wanted)
    assert blocks == [("text", LINE)]


def test_only_the_newest_conversations_are_remembered() -> None:
    known = StructuredCalls(most=3)
    known.remember("s", ["a"])
    known.remember("", ["b"])
    known.remember("s", [])
    known.remember("", ["c"])
    assert known.knows("s", [])
    assert known.knows("", ["b", "x"])
    assert known.knows("", ["c"])
    assert not known.knows("", ["a"])
    assert not known.knows("", [])
