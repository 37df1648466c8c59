"""The families that write calls in Gemma's notation or in Python's.

function_gemma  <start_function_call>call:Write{file_path:<escape>/a<escape>}<end_function_call>
gemma4          <|tool_call>call:Write{file_path:<|"|>/a<|"|>}<tool_call|>
lfm2            <|tool_call_start|>[Write(file_path="/a", mode=420)]<|tool_call_end|>  or without marks
llama4          <|python_start|>[Write(file_path="/a", mode=420)]<|python_end|>  or without marks
olmo3           <function_calls>\\nWrite(file_path="/a", mode=420)\\nGo()\\n</function_calls>
gemma3          ```tool_code\\nWrite(file_path="/a", mode=420)\\n```
"""

from __future__ import annotations

from engine.tool_calls.families.notation_format import GemmaFormat, PythonicFormat
from engine.tool_calls.reading.gemma_calls import GemmaMarks

GEMMA_FAMILIES: tuple[GemmaFormat, ...] = (
    # After its calls Gemma opens the results, unless a server stops it.
    GemmaFormat(
        "function_gemma",
        GemmaMarks("<start_function_call>", "<end_function_call>", "<escape>"),
        layout=("<start_function_response>",),
    ),
    GemmaFormat("gemma4", GemmaMarks("<|tool_call>", "<tool_call|>", '<|"|>'), layout=("<|tool_response>",)),
)

PYTHONIC_FAMILIES: tuple[PythonicFormat, ...] = (
    PythonicFormat("lfm2", ("<|tool_call_start|>",), "[", ", ", "]<|tool_call_end|>", bare="python"),
    PythonicFormat("llama4", ("<|python_start|>",), "[", ", ", "]<|python_end|>", bare="python"),
    PythonicFormat("olmo3", ("<function_calls>",), "\n", "\n", "\n</function_calls>"),
    PythonicFormat("gemma3", ("```tool_code",), "\n", "\n", "\n```"),
)
