"""Calls of a conversation as the models' own chat templates render them."""

QWEN3_CODER = """\
{%- for call in calls -%}
{{- '\\n<tool_call>\\n<function=' ~ call.name ~ '>\\n' -}}
{%- for key, value in call.arguments.items() -%}
{{- '<parameter=' ~ key ~ '>\\n' -}}
{{- value | tojson if value is mapping or (value is sequence and value is not string) else value | string -}}
{{- '\\n</parameter>\\n' -}}
{%- endfor -%}
{{- '</function>\\n</tool_call>' -}}
{%- endfor -%}
"""
"""Numbers, booleans and nothing as Python prints them."""

GLM_45 = """\
{%- for call in calls %}
{{ '\\n<tool_call>' ~ call.name }}
{% for key, value in call.arguments.items() %}
<arg_key>{{ key }}</arg_key>
<arg_value>{{ value if value is string else value | tojson }}</arg_value>
{% endfor %}
</tool_call>{% endfor %}
"""

GLM_47 = """\
{%- for call in calls -%}
<tool_call>{{ call.name }}
{%- for key, value in call.arguments.items() -%}
<arg_key>{{ key }}</arg_key><arg_value>{{ value if value is string else value | tojson }}</arg_value>
{%- endfor -%}
</tool_call>
{%- endfor -%}
"""

MINIMAX = """\
<minimax:tool_call>
{% for call in calls -%}
{{ '<invoke name="' ~ call.name ~ '">\\n' }}
{%- for key, value in call.arguments.items() -%}
<parameter name="{{ key }}">{{ value if value is string else value | tojson }}</parameter>
{% endfor -%}
</invoke>
{% endfor -%}
</minimax:tool_call>"""

MISTRAL = """\
{%- for call in calls -%}
{{- '[TOOL_CALLS]' ~ call.name ~ '[CALL_ID]abc123def[ARGS]' ~ call.arguments | tojson -}}
{%- endfor -%}
"""

MISTRAL_V3 = """\
{{- '[TOOL_CALLS] [' -}}
{%- for call in calls -%}
{{- '{"name": "' ~ call.name ~ '", "arguments": ' ~ call.arguments | tojson ~ ', "id": "abc123def"}' -}}
{{- ', ' if not loop.last -}}
{%- endfor -%}
{{- ']' -}}
"""

GEMMA = """\
{%- macro show(value) -%}
{%- if value is string -%}{{- quote ~ value ~ quote -}}
{%- elif value is boolean -%}{{- 'true' if value else 'false' -}}
{%- elif value is mapping -%}
{{- '{' -}}{%- for key, part in value | dictsort -%}{{- key ~ ':' -}}{{- show(part) -}}
{{- ',' if not loop.last -}}{%- endfor -%}{{- '}' -}}
{%- elif value is sequence -%}
{{- '[' -}}{%- for part in value -%}{{- show(part) -}}{{- ',' if not loop.last -}}{%- endfor -%}{{- ']' -}}
{%- else -%}{{- value -}}{%- endif -%}
{%- endmacro -%}
{%- for call in calls -%}
{{- opening ~ 'call:' ~ call.name -}}{{- show(call.arguments) -}}{{- end -}}
{%- endfor -%}
"""
"""Members in the order of their names; numbers and nothing as Python prints them."""

HARMONY = """\
{%- for call in calls -%}
{{- '<|start|>assistant to=functions.' ~ call.name ~ '<|channel|>commentary json<|message|>' -}}
{{- call.arguments | tojson ~ '<|call|>' -}}
{%- endfor -%}
"""

DEEPSEEK_V3 = """\
{{- '<｜tool▁calls▁begin｜>' -}}
{%- for call in calls -%}
{{- '\\n' if not loop.first -}}
{{- '<｜tool▁call▁begin｜>function<｜tool▁sep｜>' ~ call.name ~ '\\n```json\\n' -}}
{{- call.arguments | tojson ~ '\\n```<｜tool▁call▁end｜>' -}}
{%- endfor -%}
{{- '<｜tool▁calls▁end｜><｜end▁of▁sentence｜>' -}}
"""

DEEPSEEK_V31 = """\
{{- '<｜tool▁calls▁begin｜>' -}}
{%- for call in calls -%}
{{- '<｜tool▁call▁begin｜>' ~ call.name ~ '<｜tool▁sep｜>' -}}
{{- call.arguments | tojson ~ '<｜tool▁call▁end｜>' -}}
{%- endfor -%}
{{- '<｜tool▁calls▁end｜>' -}}
"""

DSML = """\
{%- set mark = '｜DSML｜' -%}
{{- '<' ~ mark ~ section ~ '>\\n' -}}
{%- for call in calls -%}
{{- '<' ~ mark ~ 'invoke name="' ~ call.name ~ '">\\n' -}}
{%- for key, value in call.arguments.items() -%}
{{- '<' ~ mark ~ 'parameter name="' ~ key ~ '" string="' ~ ('true' if value is string else 'false') ~ '">' -}}
{{- (value if value is string else value | tojson) ~ '</' ~ mark ~ 'parameter>\\n' -}}
{%- endfor -%}
{{- '</' ~ mark ~ 'invoke>\\n' -}}
{%- endfor -%}
{{- '</' ~ mark ~ section ~ '>' -}}
"""

KIMI = """\
<|tool_calls_section_begin|>
{%- for call in calls -%}
<|tool_call_begin|>functions.{{ call.name }}:{{ loop.index0 }}<|tool_call_argument_begin|>
{{- call.arguments | tojson -}}<|tool_call_end|>
{%- endfor -%}
<|tool_calls_section_end|>"""

HERMES = """\
{%- for call in calls -%}
{{- '\\n' if not loop.first -}}
{{- '<tool_call>\\n{"name": "' ~ call.name ~ '", "arguments": ' -}}
{{- call.arguments | tojson ~ '}\\n</tool_call>' -}}
{%- endfor -%}
"""
