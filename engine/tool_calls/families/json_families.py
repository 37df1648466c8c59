"""The families that write arguments as one JSON object, each as the texts around it.

hermes            <tool_call>\\n{"name": "Read", "arguments": {…}}\\n</tool_call>
mistral           [TOOL_CALLS]Read[ARGS]{…}                    a mark a call, some with `[CALL_ID]` and an id
mistral_v3        [TOOL_CALLS][{"name": "Read", "arguments": {…}, "id": "abc123def"}]
deepseek_v3       <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>Read\\n```json\\n{…}\\n```…
deepseek_v31      <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>Read<｜tool▁sep｜>{…}<｜tool▁call▁end｜>…
kimi              <|tool_calls_section_begin|><|tool_call_begin|>functions.Read:0<|tool_call_argument_begin|>…
harmony           <|channel|>commentary to=functions.Read <|constrain|>json<|message|>{…}<|call|>
cohere            <|START_ACTION|>[{"tool_call_id": "0", "tool_name": "Read", "parameters": {…}}]…
command_r         Action: ```json\\n[{"tool_name": "Read", "parameters": {…}}]```
nemotron          <TOOLCALL>[{"name": "Read", "arguments": {…}}]</TOOLCALL>
granite           <|tool_call|>[{"name": "Read", "arguments": {…}}]
granite_20b       <function_call> {"name": "Read", "arguments": {…}}
phi4_mini         functools[{"name": "Read", "arguments": {…}}]
apertus           <|tools_prefix|>[{"Read": {…}}]<|tools_suffix|>
jamba             <tool_calls>[{"name": "Read", "arguments": {…}}]</tool_calls>
minimax_m1        <tool_calls>\\n{"name": "Read", "arguments": {…}}\\n</tool_calls>    a line a call
internlm          <|action_start|><|plugin|>\\n{"name": "Read", "parameters": {…}}<|action_end|>
gigachat          function call<|role_sep|>\\n{"name": "Read", "arguments": {…}}      or <|function_call|>{…}
solar_open        <|tool_call:begin|>ID<|tool_call:name|>Read<|tool_call:args|>{…}<|tool_call:end|>
functionary_v31   <function=Read>{…}</function>
mirothinker       <use_mcp_tool>… <tool_name>Read</tool_name>\\n<arguments>\\n{…}…
plamo3            <|plamo:begin_tool_requests:plamo|>… with name and {…} between tags
inkling           Read<|content_invoke_tool_json|>{"name": "Read", "args": {…}}<|end_message|>
llama3_json       <|python_tag|>{"name": "Read", "parameters": {…}}; …      the mark is often missing

Of two formats behind the same mark, a family reads both. harmony: the recipient may also come before the
channel, `functions.` may be missing, and `<|call|>`, usually an end-of-answer token, as well.
"""

from __future__ import annotations

from engine.tool_calls.families.json_format import (
    Either,
    Json,
    JsonCall,
    JsonFormat,
    Maybe,
    Varying,
    json_object,
)

_OBJECT = json_object()
_OF_TYPE = (
    Json('{"type": "function", "function": {"name": '),
    Varying.QUOTED_NAME,
    Json(', "arguments": '),
    Varying.ARGUMENTS,
    Json("}}"),
)
_LISTED = JsonCall(_OBJECT, (Json("["),), (Json(", "),), (Json("]"),))
_LISTED_OF_TYPE = JsonCall(_OF_TYPE, (Json("["),), (Json(", "),), (Json("]"),))
_LISTED_WITH_ID = JsonCall(json_object(with_id=True), (Json("["),), (Json(", "),), (Json("]"),))


def _listed(end: str, *more: JsonCall, with_id: bool = False) -> tuple[JsonCall, ...]:
    """A list of objects with a mark behind it; `more` are other ways that the reader takes."""
    return (JsonCall(json_object(with_id=with_id), (Json("["),), (Json(", "),), (Json("]"), end)), *more)


_MISTRAL = JsonCall(
    (Varying.NAME, Maybe(("[CALL_ID]", Varying.ID)), "[ARGS]", Varying.ARGUMENTS), joined="", runs_on=True
)

_SECTION, _SECTION_END = "<｜tool▁calls▁begin｜>", ("<｜tool▁calls▁end｜>",)
_CALL, _SEPARATOR, _CALL_END = "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>"
_FENCED = JsonCall(
    (_CALL, "function", _SEPARATOR, Varying.NAME, "\n```json\n", Varying.ARGUMENTS, "\n```", _CALL_END),
    between=("\n",),
    last=_SECTION_END,
)
_ONE_LINE = JsonCall(
    (_CALL, Varying.NAME, _SEPARATOR, Varying.ARGUMENTS, _CALL_END), between=(), last=_SECTION_END
)
_ONE_LINE_FENCED = JsonCall(
    (_CALL, Varying.NAME, _SEPARATOR, "```json\n", Varying.ARGUMENTS, "\n```", _CALL_END),
    between=(),
    last=_SECTION_END,
)


def _plamo(word: str) -> str:
    return f"<|plamo:{word}:plamo|>"


_COMMENTARY, _ANALYSIS = "<|channel|>commentary", "<|channel|>analysis"
_HARMONY_FORMATS = (" <|constrain|>json", "<|constrain|>json", " json", " code", "")

JSON_FAMILIES: tuple[JsonFormat, ...] = (
    JsonFormat(
        "hermes",
        ("<tool_call>",),
        (
            JsonCall(("\n", *_OBJECT, "\n</tool_call>")),
            JsonCall(_OBJECT, ("\n", Json("[")), (Json(", "),), (Json("]"), "\n</tool_call>")),
        ),
    ),
    JsonFormat("mistral", ("[TOOL_CALLS]",), (_MISTRAL, _LISTED_WITH_ID)),
    JsonFormat("mistral_v3", ("[TOOL_CALLS]",), (_LISTED_WITH_ID, _MISTRAL)),
    JsonFormat("deepseek_v3", (_SECTION,), (_FENCED, _ONE_LINE, _ONE_LINE_FENCED)),
    JsonFormat("deepseek_v31", (_SECTION,), (_ONE_LINE, _FENCED, _ONE_LINE_FENCED)),
    JsonFormat(
        "kimi",
        # Behind the last, which some answers begin with, stands the name.
        ("<|tool_calls_section_begin|>", "<|tool_call_section_begin|>", "<|tool_call_begin|>"),
        (
            JsonCall(
                (
                    Either(("<|tool_call_begin|>", "")),
                    Either(("functions.",), ""),
                    Varying.NAME,
                    Either((":",)),
                    Varying.NUMBER,
                    "<|tool_call_argument_begin|>",
                    Varying.ARGUMENTS,
                    "<|tool_call_end|>",
                ),
                between=(),
                last=(Either(("<|tool_calls_section_end|>",), r"<\|tool_call_section_end\|>"),),
            ),
        ),
    ),
    JsonFormat(
        "harmony",
        (f"{_COMMENTARY} to=", f"{_ANALYSIS} to=", " to=functions.", "<|start|>assistant to="),
        (
            JsonCall(
                (
                    Either(("functions.", "")),
                    Varying.NAME,
                    Either(
                        tuple(channel + form for channel in ("", _COMMENTARY) for form in _HARMONY_FORMATS),
                        r"(?:<\|channel\|>\s*(?:commentary|analysis))?\s*(?:<\|constrain\|>)?\s*\w{0,20}",
                    ),
                    "<|message|>",
                    Varying.ARGUMENTS,
                    Either(("<|call|>", "<|end|>")),
                ),
                joined="<|start|>assistant",
                end_may_miss=True,
            ),
        ),
        thinking=(f"{_ANALYSIS}<|message|>", "<|end|>"),
        layout=(
            "<|start|>assistant",
            "<|channel|>final<|message|>",
            f"{_COMMENTARY}<|message|>",
            "<|end|>",
            "<|call|>",
            "<|return|>",
        ),
    ),
    JsonFormat(
        "cohere",
        ("<|START_ACTION|>",),
        (
            JsonCall(
                (
                    Json('{"tool_call_id": '),
                    Varying.QUOTED_NUMBER,
                    Json(', "tool_name": '),
                    Varying.QUOTED_NAME,
                    Json(', "parameters": '),
                    Varying.ARGUMENTS,
                    Json("}"),
                ),
                (Json("["),),
                (Json(",\n"),),
                (Json("]"), "<|END_ACTION|>"),
            ),
            JsonCall(
                json_object("tool_name", "parameters"),
                (Json("["),),
                (Json(","),),
                (Json("]"), "<|END_ACTION|>"),
            ),
        ),
        layout=("<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>"),
    ),
    JsonFormat(
        "command_r",
        ("Action: ```json", "Action:```json", "Action:\n```json"),
        (
            JsonCall(
                json_object("tool_name", "parameters"), ("\n", Json("[")), (Json(","),), (Json("]"), "```")
            ),
        ),
    ),
    JsonFormat("nemotron", ("<TOOLCALL>",), _listed("</TOOLCALL>", JsonCall((*_OBJECT, "</TOOLCALL>")))),
    JsonFormat(
        "granite",
        ("<|tool_call|>", "<tool_call>"),
        (_LISTED, _LISTED_OF_TYPE, JsonCall(_OBJECT)),
        layout=("<|/tool_call|>",),
    ),
    JsonFormat("granite_20b", ("<function_call>",), (JsonCall((" ", *_OBJECT), joined=" "),)),
    JsonFormat(
        "phi4_mini",
        ("functools[",),
        (
            JsonCall(_OBJECT, (), (Json(", "),), (Json("]"),)),
            JsonCall(_OF_TYPE, (), (Json(", "),), (Json("]"),)),
        ),
    ),
    JsonFormat(
        "apertus",
        ("<|tools_prefix|>",),
        (
            JsonCall(
                (Json("{"), Varying.QUOTED_NAME, Json(": "), Varying.ARGUMENTS, Json("}")),
                (Json("["),),
                (Json(", "),),
                (Json("]"), "<|tools_suffix|>"),
            ),
        ),
    ),
    JsonFormat("jamba", ("<tool_calls>",), _listed("</tool_calls>", with_id=True)),
    JsonFormat(
        "minimax_m1",
        ("<tool_calls>",),
        (JsonCall(_OBJECT, ("\n",), ("\n",), ("\n</tool_calls>",)),),
    ),
    JsonFormat(
        "internlm",
        ("<|action_start|>",),
        (
            JsonCall(
                (
                    "<|plugin|>\n",
                    Json('{"name": '),
                    Varying.QUOTED_NAME,
                    Either((', "parameters": ', ', "arguments": ')),
                    Varying.ARGUMENTS,
                    Json("}"),
                    "<|action_end|>",
                ),
                joined="",
            ),
        ),
    ),
    JsonFormat(
        "gigachat",
        ("function call<|role_sep|>", "<|function_call|>"),
        (JsonCall(("\n", *_OBJECT)),),
        layout=("<|message_sep|>", "</s>"),
    ),
    JsonFormat(
        "solar_open",
        ("<|tool_call:begin|>",),
        (
            JsonCall(
                (
                    Varying.ID,
                    "<|tool_call:name|>",
                    Varying.NAME,
                    "<|tool_call:args|>",
                    Varying.ARGUMENTS,
                    "<|tool_call:end|>",
                ),
                joined="",
            ),
        ),
        layout=("<|tool_calls|>", "<|begin|>assistant", "<|content|>", "<|end|>", "<|flush|>"),
    ),
    JsonFormat(
        "functionary_v31",
        ("<function=",),
        (JsonCall((Varying.NAME, ">", Varying.ARGUMENTS, "</function>"), joined=""),),
        bare_openings=("<function=",),
    ),
    JsonFormat(
        "mirothinker",
        ("<use_mcp_tool>",),
        (
            JsonCall(
                (
                    "\n<server_name>",
                    Either(("default",), r"[^<>\n]{0,256}"),
                    "</server_name>\n<tool_name>",
                    Varying.NAME,
                    "</tool_name>\n<arguments>\n",
                    Varying.ARGUMENTS,
                    "\n</arguments>\n</use_mcp_tool>",
                ),
            ),
        ),
    ),
    JsonFormat(
        "plamo3",
        (_plamo("begin_tool_requests"),),
        (
            JsonCall(
                (
                    _plamo("begin_tool_request") + _plamo("begin_tool_name"),
                    Varying.NAME,
                    _plamo("end_tool_name") + _plamo("begin_tool_arguments"),
                    Varying.ARGUMENTS,
                    _plamo("end_tool_arguments") + _plamo("end_tool_request"),
                ),
                between=(),
                last=(_plamo("end_tool_requests"),),
            ),
        ),
    ),
    JsonFormat(
        "inkling",
        ("<|content_invoke_tool_json|>", "$tool<|content_invoke_tool_json|>"),
        (JsonCall((*json_object("name", "args"), "<|end_message|>"), joined="<|message_model|>"),),
        thinking=("<|content_thinking|>", "<|end_message|>"),
        layout=(
            *("<|message_model|>", "<|content_text|>"),
            *("<|end_message|>", "<|content_model_end_sampling|>"),
        ),
    ),
    JsonFormat(
        "llama3_json",
        ("<|python_tag|>",),
        (
            JsonCall(json_object("name", "parameters"), between=(Json("; "),)),
            JsonCall(
                (
                    Json('{"type": "function", "name": '),
                    Varying.QUOTED_NAME,
                    Json(', "parameters": '),
                    Varying.ARGUMENTS,
                    Json("}"),
                ),
                between=(Json("; "),),
            ),
        ),
        bare="json",
    ),
)
"""In order of detection: of two that read a template's call alike, the first counts."""
