"""What `python -m engine.model_report` prints: one JSON object on this machine and one model."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class ModelReport:
    """MLX on this machine, and a model as far as it is known without its weights in memory.

    `device_fault`, `fault` (no model can be built), `template_fault` and `cache_fault` are sentences, empty
    for nothing. `window_tokens` is the model's window, `fitting_tokens` what of it fits beside the weights.
    `*_bytes` are bytes; `working_set_bytes` 0: the GPU recommends none. Without a model all of its fields are
    empty.
    """

    libraries: dict[str, str] = field(default_factory=dict)
    machine: str = ""
    device: str = ""
    device_fault: str = ""
    ram_bytes: int = 0
    working_set_bytes: int = 0
    limit_bytes: int = 0
    limit_reason: str = ""
    model: str = ""
    fault: str = ""
    tokens: int = 0  # of the vocabulary
    template_fault: str = ""
    family: str = ""
    tools_rendered: bool = True  # by the template; else they are written as text
    tools_form: str = ""  # of calls, in prompts in which tools are text
    thinking_switch: str = ""  # the template argument that switches thinking
    traits: dict[str, Any] = field(default_factory=dict)  # of the template, by name
    adaptations: list[str] = field(default_factory=list)  # what is changed for the template, in sentences
    new_project: dict[str, int] = field(
        default_factory=dict
    )  # as `engine.prompts.probing.project_place` says
    cache_kinds: dict[str, int] = field(default_factory=dict)  # layers by mlx-lm's class
    cache_fault: str = ""
    needs_checkpoints: bool = False
    weights_bytes: int = 0
    kv_bytes: int = 0  # of one token
    window_tokens: int = 0
    fitting_tokens: int = 0


def read_report(text: str) -> ModelReport:
    """The report in what the program printed; its last line counts.

    Raises:
        ValueError: there is none.
    """
    lines = text.strip().splitlines()
    document = json.loads(lines[-1]) if lines else None
    if not isinstance(document, dict):
        raise ValueError("no report")
    known = {each.name for each in fields(ModelReport)}
    return ModelReport(**{name: value for name, value in document.items() if name in known})
