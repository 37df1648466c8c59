"""The families that write arguments as bare text between tags, each as its tags.

qwen3_coder     <tool_call>\\n<function=Write>\\n<parameter=file_path>\\n/a\\n</parameter>\\n…
seed_oss        <seed:tool_call>\\n<function=Write>\\n<parameter=file_path>/a</parameter>\\n</function>\\n…
glm             <tool_call>Write\\n<arg_key>file_path</arg_key>\\n<arg_value>/a</arg_value>\\n</tool_call>
iquest_coder    the same with <iquestcoder_tool_call>
longcat         the same with <longcat_tool_call>, <longcat_arg_key>, <longcat_arg_value>
hy3             <tool_calls>\\n<tool_call>Write<tool_sep>\\n<arg_key>file_path</arg_key>\\n<arg_value>…
hy3_opensource  the same with `:opensource` in each tag
minimax         <minimax:tool_call>\\n<invoke name="Write">\\n<parameter name="file_path">/a…
minimax_m3      the same with <tool_call> and <file_path>/a</file_path>, and `]<]minimax[>[` before each tag
muse_spark      <atem:function_calls>\\n<atem:invoke name="Write">\\n<atem:parameter name="file_path">/a…
deepseek_v32    <｜DSML｜function_calls>\\n<｜DSML｜invoke name="Write">\\n<｜DSML｜parameter …
deepseek_v4     the same with <｜DSML｜tool_calls>
step3           <｜tool_calls_begin｜>\\n<｜tool_call_begin｜>function<｜tool_sep｜><steptml:invoke …
gigachat35      the same with `｜GCML｜` for `｜DSML｜`
dots            <dots_function_call>\n<invoke name="Write">\n<parameter name="file_path">/a…
k2_horizon      <ifm|tool_calls>\n<ifm|tool_call>Write\n<ifm|arg_key>file_path</ifm|arg_key>\n…
solar_open2     <|tool_call:start|>Write\n<|tool_arg:start|>file_path<|tool_arg:value|>/a<|tool_arg:end|>…
minicpm5        <function name="Write"><param name="file_path">/a</param></function>
kimi_k3         <|open|>tools<|sep|><|open|>call tool="Write" index="1"<|sep|><|open|>argument …

`engine.tool_calls.schemas.argument_texts` gives the values' types, `engine.tool_calls.reading.tagged_calls`
says what is ambiguous. Qwen3-Coder often omits `<tool_call>`; GLM 4.7 and Laguna write no line breaks, or
others; MiniCPM5 puts values with markup or lines into CDATA.
"""

from __future__ import annotations

from engine.tool_calls.families.tagged_format import TaggedFormat

_JSON_TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
_M3 = "]<]minimax[>["
_K3_TYPES = {kind: "number" if kind == "integer" else kind for kind in _JSON_TYPES}


def _glm(name: str, prefix: str, call_prefix: str = "") -> TaggedFormat:
    return TaggedFormat(
        name,
        (f"<{call_prefix or prefix}tool_call>",),
        before_name="",
        behind_name="\n",
        before_key=f"<{prefix}arg_key>",
        behind_key=f"</{prefix}arg_key>\n<{prefix}arg_value>",
        close=f"</{prefix}arg_value>\n",
        call_end="",
        section_end=f"</{call_prefix or prefix}tool_call>",
        loose=True,
    )


def _hy3(name: str, suffix: str) -> TaggedFormat:
    return TaggedFormat(
        name,
        (f"<tool_calls{suffix}>",),
        before_name=f"\n<tool_call{suffix}>",
        behind_name=f"<tool_sep{suffix}>\n",
        before_key=f"<arg_key{suffix}>",
        behind_key=f"</arg_key{suffix}>\n<arg_value{suffix}>",
        close=f"</arg_value{suffix}>\n",
        call_end=f"</tool_call{suffix}>\n",
        section_end=f"</tool_calls{suffix}>",
        several=True,
        loose=True,
    )


def _invoking(
    name: str, opening: str, end: str, prefix: str, before: str = "\n", **rest: object
) -> TaggedFormat:
    """`invoke` and `parameter` tags."""
    return TaggedFormat(
        name,
        (opening,),
        before_name=f'{before}<{prefix}invoke name="',
        behind_name='">\n',
        before_key=f'<{prefix}parameter name="',
        behind_key=str(rest.pop("behind_key", '">')),
        close=f"</{prefix}parameter>\n",
        call_end=str(rest.pop("call_end", f"</{prefix}invoke>\n")),
        section_end=end,
        several=True,
        **rest,  # type: ignore[arg-type]
    )


def _dsml(name: str, section: str, prefix: str = "｜DSML｜", layout: tuple[str, ...] = ()) -> TaggedFormat:
    return _invoking(
        name,
        f"<{prefix}{section}>",
        f"</{prefix}{section}>",
        prefix,
        behind_key='" string="$type">',
        json_bodies=True,
        types={kind: "true" if kind == "string" else "false" for kind in _JSON_TYPES},
        layout=layout,
    )


TAGGED_FAMILIES: tuple[TaggedFormat, ...] = (
    TaggedFormat(
        "qwen3_coder",
        ("<tool_call>", "<function="),
        before_name="\n<function=",
        behind_name=">\n",
        before_key="<parameter=",
        behind_key=">\n",
        close="\n</parameter>\n",
        call_end="</function>\n",
        section_end="</tool_call>",
        runs_on=True,
        opens_alone="<function=",
        newlines=True,
        bare_openings=("<function=",),
    ),
    TaggedFormat(
        "seed_oss",
        ("<seed:tool_call>",),
        before_name="\n<function=",
        behind_name=">\n",
        before_key="<parameter=",
        behind_key=">",
        close="</parameter>\n",
        call_end="</function>\n",
        section_end="</seed:tool_call>",
        runs_on=True,
        paired_newlines=True,
        thinking=("<seed:think>", "</seed:think>"),
    ),
    _glm("glm", ""),
    _glm("longcat", "longcat_"),
    _glm("iquest_coder", "", "iquestcoder_"),
    _hy3("hy3", ""),
    _hy3("hy3_opensource", ":opensource"),
    _invoking("minimax", "<minimax:tool_call>", "</minimax:tool_call>", ""),
    TaggedFormat(
        "minimax_m3",
        (f"{_M3}<tool_call>",),
        before_name=f'\n{_M3}<invoke name="',
        behind_name='">',
        before_key=f"{_M3}<",
        behind_key=">",
        close=f"{_M3}</$key>",
        call_end=f"{_M3}</invoke>\n",
        section_end=f"{_M3}</tool_call>",
        several=True,
        nested=_M3,
    ),
    _invoking(
        "muse_spark",
        "<atem:function_calls>",
        "</atem:function_calls>",
        "atem:",
        thinking=(" to=self<|message|>", "<|eom|>"),
        # A call's message is addressed to its tool.
        layout=(
            "<|start|>assistant",
            *(" to=user<|message|>", " to=$tool<|message|>", "<|message|>"),
            *("<|eom|>", "<|eot|>"),
        ),
    ),
    _dsml("deepseek_v32", "function_calls"),
    _dsml("deepseek_v4", "tool_calls"),
    _dsml("gigachat35", "tool_calls", "｜GCML｜", layout=("<|message_sep|>", "</s>")),
    _invoking("dots", "<dots_function_call>", "</dots_function_call>", ""),
    TaggedFormat(
        "k2_horizon",
        ("<ifm|tool_calls>",),
        before_name="\n<ifm|tool_call>",
        behind_name="\n",
        before_key="<ifm|arg_key>",
        behind_key="</ifm|arg_key>\n<ifm|arg_value>",
        close="</ifm|arg_value>\n",
        call_end="</ifm|tool_call>\n",
        section_end="</ifm|tool_calls>",
        several=True,
        loose=True,
    ),
    TaggedFormat(
        "solar_open2",
        ("<|tool_call:start|>",),
        before_name="",
        behind_name="\n",
        before_key="<|tool_arg:start|>",
        behind_key="<|tool_arg:value|>",
        close="<|tool_arg:end|>\n",
        call_end="",
        section_end="<|tool_call:end|>",
    ),
    _invoking(
        "step3",
        "<｜tool_calls_begin｜>",
        "<｜tool_calls_end｜>",
        "steptml:",
        "\n<｜tool_call_begin｜>function<｜tool_sep｜>",
        call_end="</steptml:invoke><｜tool_call_end｜>\n",
    ),
    TaggedFormat(
        "minicpm5",
        ('<function name="',),
        before_name="",
        behind_name='">',
        before_key='<param name="',
        behind_key='">',
        close="</param>",
        call_end="",
        section_end="</function>",
        wrap=("<![CDATA[", "]]>"),
        bare_openings=('<function name="',),
    ),
    TaggedFormat(
        "kimi_k3",
        ("<|open|>tools<|sep|>",),
        before_name='<|open|>call tool="',
        behind_name='" index="$number"<|sep|>',
        before_key='<|open|>argument key="',
        behind_key='" type="$type"<|sep|>',
        close="<|close|>argument<|sep|>",
        call_end="<|close|>call<|sep|>",
        section_end="<|close|>tools<|sep|>",
        several=True,
        types=_K3_TYPES,
        layout=(
            "<|open|>response<|sep|>",
            "<|close|>response<|sep|>",
            "<|close|>message<|sep|>",
            "<|end_of_msg|>",
        ),
    ),
)
"""In order of detection: of two that read a template's call alike, the first counts."""
