"""The tools that the tests of recovery offer, and arguments that fit them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas

TODO = {
    "type": "object",
    "properties": {"text": {"type": "string"}, "done": {"type": "boolean"}, "rank": {"type": "integer"}},
    "required": ["text"],
    "additionalProperties": False,
}


def tool(name: str, required: str, **properties: Any) -> ToolSchema:
    schema = {"type": "object", "properties": properties, "required": required.split()}
    return ToolSchema(name, {**schema, "additionalProperties": False})


TEXT, WHOLE, TRUTH = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}

TOOLS = ToolSchemas(
    [
        tool("Read", "file_path", file_path=TEXT, offset=WHOLE, limit=WHOLE),
        tool("Write", "file_path content", file_path=TEXT, content=TEXT),
        tool("Bash", "command", command=TEXT, timeout={"type": "number"}, description=TEXT, background=TRUTH),
        tool("Glob", "paths", paths={"type": "array", "items": TEXT}, depth={"type": ["integer", "null"]}),
        tool("TodoWrite", "todos", todos={"type": "array", "items": TODO}, options={"type": "object"}),
        tool("LS", ""),
        tool("mcp__git__log", "", since={"anyOf": [WHOLE, TRUTH]}, ref={"$ref": "#/$defs/ref"}),
    ]
)
TOOLS["mcp__git__log"].parameters["$defs"] = {"ref": {"type": ["integer", "boolean"]}}

FRAGMENTS = [
    *('"', "'", "\\", "\n", "\t", "{", "}", "[", "]", ",", ":", " ", "`", "#", "<", ">", "/", "|", "\x00"),
    *(
        "a",
        "b",
        "1",
        "\\d+",
        "\\.",
        "é",
        "“",
        "\U0001f600",
        "command",
        "content",
        "null",
        "True",
        "// x",
        "/* x",
        "\\n",
    ),
    *('", "', '": "', '"}', "</tool_call>", "```", '{"name": "Read"', "(x)", "print('hi')", 'say "hi"'),
]
TEXTS = st.lists(st.sampled_from(FRAGMENTS), max_size=8).map("".join) | st.text(max_size=12)
INTEGERS = st.integers(-(10**6), 10**6)
TODOS = st.fixed_dictionaries({"text": TEXTS}, optional={"done": st.booleans(), "rank": INTEGERS})
CALLS: st.SearchStrategy[tuple[str, dict[str, Any]]] = st.one_of(
    st.tuples(
        st.just("Read"),
        st.fixed_dictionaries({"file_path": TEXTS}, optional={"offset": INTEGERS, "limit": INTEGERS}),
    ),
    st.tuples(st.just("Write"), st.fixed_dictionaries({"file_path": TEXTS, "content": TEXTS})),
    st.tuples(
        st.just("Bash"),
        st.fixed_dictionaries(
            {"command": TEXTS},
            optional={
                "timeout": st.floats(0, 1e6) | INTEGERS,
                "description": TEXTS,
                "background": st.booleans(),
            },
        ),
    ),
    st.tuples(
        st.just("Glob"),
        st.fixed_dictionaries(
            {"paths": st.lists(TEXTS, max_size=3)}, optional={"depth": INTEGERS | st.none()}
        ),
    ),
    st.tuples(st.just("TodoWrite"), st.fixed_dictionaries({"todos": st.lists(TODOS, max_size=3)})),
)

CODE = (
    'def f(x):\n\tprint("it\'s", {\'a\': [1, 2]}, "\\n")  # "why?"\n    return f"{x}" // 2, </tool_call>\n\n'
)
FILE = (CODE * 900)[:100_000]
