"""Chat templates of our own, each with one trait that templates of real models have."""

from __future__ import annotations

_LAST = (
    "{%- set ns = namespace(last=-1, n=0) -%}{%- for m in messages -%}{%- if m.role == 'user' -%}"
    "{%- set ns.last = loop.index0 -%}{%- endif -%}{%- endfor -%}"
)
_SYSTEM = (
    "{{- '<|im_start|>system\\n' ~ (messages[0].content if messages[0].role == 'system' else '') -}}"
    "{%- if tools -%}{{- '\\nTools: ' ~ tools | tojson -}}{%- endif -%}{{- '<|im_end|>\\n' -}}"
)
_THINKING = (
    "{%- if m.reasoning_content and loop.index0 > ns.last -%}"
    "{{- '<think>\\n' ~ m.reasoning_content ~ '\\n</think>\\n' -}}{%- endif -%}"
)
_CALLS = (
    "{%- for c in m.tool_calls or [] -%}"
    '{{- \'<tool_call>\\n{"name": "\' ~ c.function.name ~ \'", "arguments": \' -}}'
    "{{- c.function.arguments | tojson ~ '}\\n</tool_call>' -}}{%- endfor -%}"
)
_TURN = "{{- '<|im_start|>' ~ m.role ~ '\\n' -}}"
_REST = "{%- for m in messages -%}{%- if m.role != 'system' or not loop.first -%}"
_CLOSE = "{{- '<|im_end|>\\n' -}}{%- endif -%}{%- endfor -%}"
_ASK = "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
_PLAIN = _LAST + _SYSTEM + _REST + _TURN + _THINKING + "{{- m.content -}}" + _CALLS + _CLOSE + _ASK


def _with(*changes: tuple[str, str]) -> str:
    """The plain template with some of its parts replaced.

    Raises:
        ValueError: it has no such part.
    """
    text = _PLAIN
    for old, new in changes:
        if old not in text:
            raise ValueError(f"the plain template has no {old!r}")
        text = text.replace(old, new)
    return text


def _refusing(condition: str) -> str:
    return f"{{%- for m in messages -%}}{{%- if {condition} -%}}{{{{- raise_exception('no') -}}}}" + (
        "{%- endif -%}{%- endfor -%}"
    )


_NO_TOOLS = "{%- if tools -%}{{- '\\nTools: ' ~ tools | tojson -}}{%- endif -%}"
_NO_SYSTEM = " ~ (messages[0].content if messages[0].role == 'system' else '')"
_BY_THE_CALL = (
    "{%- set seen = namespace(more=true) -%}{%- for k in range(loop.index0 + 1, messages | length) -%}"
    "{%- if messages[k].role != 'tool' -%}{%- set seen.more = false -%}{%- elif seen.more -%}"
    "{{- '<result>' ~ messages[k].content ~ '</result>' -}}{%- endif -%}{%- endfor -%}"
)

OWN_TEMPLATES: dict[str, str] = {
    "thinking of the running loop": _PLAIN,
    "an empty block of thinking in each answer": _with(
        (_THINKING, "{%- if m.role == 'assistant' -%}{{- '<think></think>' -}}{%- endif -%}")
    ),
    "thinking in a field of its own": _with(("m.reasoning_content", "m.thinking")),
    "no thinking": _with((_THINKING, "")),
    "results by their call": _with(
        (_REST, _REST.replace("m.role != 'system'", "m.role != 'tool' and m.role != 'system'")),
        (_CALLS, _CALLS + _BY_THE_CALL),
        (
            "{{- m.content -}}",
            "{%- if not m.tool_calls -%}{{- m.content -}}{%- endif -%}",
        ),
    ),
    "text behind the results": _with(
        ("{{- m.content -}}" + _CALLS, _CALLS + _BY_THE_CALL + "{{- m.content -}}"),
        (_REST, _REST.replace("m.role != 'system'", "m.role != 'tool' and m.role != 'system'")),
    ),
    "one call a turn": _refusing("m.tool_calls and m.tool_calls | length > 1") + _PLAIN,
    "the first call only": _with(("in m.tool_calls or []", "in (m.tool_calls or [])[:1]")),
    "calls or text": _with(
        ("{{- m.content -}}", "{%- if not m.tool_calls -%}{{- m.content -}}{%- endif -%}")
    ),
    "text or thinking beside a call": _refusing("m.tool_calls and m.content and m.reasoning_content")
    + _PLAIN,
    "results need their call": _refusing(
        "m.role == 'tool' and (loop.first or loop.previtem.role not in ['tool', 'assistant'])"
    )
    + _PLAIN,
    "users and assistants in turn": (
        "{%- set turn = namespace(n=0) -%}{%- for m in messages -%}"
        "{%- if m.role == 'user' or (m.role == 'assistant' and not m.tool_calls) -%}"
        "{%- if (m.role == 'user') != (turn.n % 2 == 0) -%}{{- raise_exception('alternate') -}}{%- endif -%}"
        "{%- set turn.n = turn.n + 1 -%}{%- endif -%}{%- endfor -%}"
    )
    + _PLAIN,
    "ids that carry the name": _with(("c.function.name", "c.id")),
    "the system text in the last question": _with(
        (_NO_SYSTEM, ""),
        (
            "{{- m.content -}}",
            "{%- if loop.last and m.role == 'user' and messages[0].role == 'system' -%}"
            "{{- messages[0].content -}}{%- endif -%}{{- m.content -}}",
        ),
    ),
    "tools in the last question": _with(
        (_NO_TOOLS, ""),
        (
            "{{- m.content -}}",
            "{%- if loop.index0 == ns.last and tools -%}{{- tools | tojson -}}{%- endif -%}{{- m.content -}}",
        ),
    ),
    "no place for tools": _with((_NO_TOOLS, "")),
    "tools beside a system text": _with(
        ("{%- if tools -%}", "{%- if tools and messages[0].role == 'system' -%}")
    ),
    "no role for tools": _refusing("m.role == 'tool'") + _with((_NO_TOOLS, ""), (_CALLS, "")),
    "content in parts": _with(
        ("messages[0].content if", "messages[0].content[0].text if"),
        ("{{- m.content -}}", "{%- for part in m.content or [] -%}{{- part.text -}}{%- endfor -%}"),
    ),
    "no empty answers": _refusing("m.role == 'assistant' and not m.content and not m.tool_calls") + _PLAIN,
    "the system text in the first question": _with(
        (_NO_SYSTEM, ""),
        (
            "{{- m.content -}}",
            "{%- if loop.index0 == 1 and m.role != 'assistant' and messages[0].role == 'system' -%}"
            "{{- messages[0].content -}}{%- endif -%}{{- m.content -}}",
        ),
    ),
    "nothing before the second message": _with((_REST, _REST.replace("m.role != 'system' or ", ""))),
    "the last turn": _with((_REST, _REST.replace("in messages", "in messages[-1:]"))),
    "the beginnings of texts and of arguments": _with(
        ("messages[0].content if", "messages[0].content[:90] if"),
        ("{{- m.content -}}", "{{- m.content[:90] -}}"),
        ("arguments | tojson ~", "arguments | tojson | truncate(90) ~"),
    ),
    "the names of tools": _with(("tools | tojson", "tools | map(attribute='function.name') | join(', ')")),
    "tools as text under another name": _with(
        (_NO_TOOLS, "{{- '\\nTools: ' ~ (functions ~ ', ' + datetime) -}}")
    ),
    "fields of messages are set": "{%- for message in messages -%}{%- if message.role == 'tool' -%}"
    "{%- set message.role = 'user' -%}{%- endif -%}{%- endfor -%}" + _PLAIN,
    "the time": "{{- strftime_now('%H:%M:%S.%f') ~ '\\n' -}}" + _PLAIN,
}
