"""Chat templates with the quirks of real ones, for the tests of what adapts to them."""

STRICT = """\
{%- if messages[0].role == 'system' -%}
{%- set rest = messages[1:] -%}{{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' -}}
{%- else -%}{%- set rest = messages -%}{%- endif -%}
{%- for m in rest -%}
{%- if m.role == 'system' -%}{{- raise_exception('system messages must come first') -}}{%- endif -%}
{{- '<|im_start|>' + m.role + '\\n' + m.content -}}
{%- for c in m.tool_calls or [] -%}
{{- '<tool_call>\\n{"name": "' + c.function.name + '", "arguments": ' + (c.function.arguments | tojson) -}}
{{- '}\\n</tool_call>' -}}
{%- endfor -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""
"""ChatML that raises on a system role after the first message, and shows no tools."""

HOISTING = """\
{%- for m in messages if m.role == 'system' -%}{{- m.content + '\\n' -}}{%- endfor -%}
{%- for m in messages if m.role != 'system' -%}{{- '<|im_start|>' + m.role + '\\n' + m.content -}}
{%- for c in m.tool_calls or [] -%}{{- c.function.name + c.function.arguments | tojson -}}{%- endfor -%}
{{- '<|im_end|>\\n' -}}{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""
"""Moves every system message to the front."""

ALTERNATING = """\
{%- for m in messages -%}
{%- if (m.role == 'user') != (loop.index0 % 2 == 0) -%}
{{- raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') -}}
{%- endif -%}
{%- if m.role not in ['user', 'assistant'] -%}{{- raise_exception('no such role') -}}{%- endif -%}
{{- '<|im_start|>' + m.role + '\\n' + m.content | trim + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""
"""As early Gemma: no system role, no tools, users and assistants in turn."""

SHORT_IDS = """\
{%- for m in messages -%}
{%- if m.role == 'tool' -%}
{%- if m.tool_call_id | length != 9 -%}{{- raise_exception('ids need 9 letters and digits') -}}{%- endif -%}
{{- '[RESULT]' + m.tool_call_id + m.content -}}
{%- elif m.tool_calls -%}
{%- if m.content is defined -%}{{- raise_exception('content or calls, not both') -}}{%- endif -%}
{%- for c in m.tool_calls -%}{{- '[CALL]' + c.id + c.function.name + c.function.arguments -}}{%- endfor -%}
{%- else -%}{{- '<|im_start|>' + m.role + '\\n' + (m.content or '') + '<|im_end|>\\n' -}}{%- endif -%}
{%- endfor -%}
"""
"""As Mistral's: ids of nine characters, no empty content beside calls, arguments as text."""

TURNS_WITHOUT_END = """\
{%- for m in messages -%}
{{- ('<|im_start|>' if m.role == 'user' else '<|endoftext|>') + '\\n' + m.content -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|endoftext|>\\n' + ('<think>\\n' if enable_thinking else '<think></think>\\n') -}}
{%- endif -%}
{%- if preserve_thinking -%}{%- endif -%}
"""
"""As GLM's: a token begins each turn and none ends it; the generation prompt opens the thinking."""
