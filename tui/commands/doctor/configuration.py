"""Checks the configuration: is it valid, which files count, where does each value come from?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from engine import bundled_model
from proxy.configuration.provenance import DEFAULT
from proxy.configuration.settings import SETTINGS
from proxy.configuration.settled import ConfigError
from proxy.configuration.settling import Settled, settle
from tui.commands.doctor.examination import Examination
from tui.commands.doctor.findings import Check, Finding, failed, ok, warning
from tui.commands.trust_question import shown_value

_MODELS = ("model", "draft_model")


def check_configuration(examination: Examination) -> Finding:
    """Settle the configuration; a model that cannot be used is left to the check of the model folder."""
    given = examination.invocation.options
    try:
        settled = _settled(examination, given)
    except ConfigError as error:
        stand_ins = dict.fromkeys(_MODELS, str(bundled_model.FOLDER))
        try:
            settled = _settled(examination, {**given, **stand_ins})
        except ConfigError as other:
            return failed(
                "; ".join(other.problems),
                "mend the file or option that it names; anyclaude-tui config check has a line for each",
                details=other.warnings,
            )
        examination.model_faults = error.problems
        settled = replace(settled, config=replace(settled.config, model="", draft_model=""))
    examination.settled = settled
    evidence = "; ".join(settled.account)
    details = tuple(_values(settled, passed_over=_MODELS if examination.model_faults else ()))
    if settled.warnings:
        return warning(
            "; ".join(settled.warnings),
            "mend what it names, or leave it: the rest counts, as anyclaude-tui config show lists it",
            details=(evidence, *details),
        )
    return ok(evidence, *details)


def _settled(examination: Examination, options: Any) -> Settled:
    edge = examination.edge
    return settle(options, environ=examination.environ, cwd=edge.cwd, user_home=edge.user_home)


def _values(settled: Settled, passed_over: Sequence[str]) -> list[str]:
    """Each value that is not a default, and where it comes from; a secret is not shown."""
    lines = []
    for name, setting in SETTINGS.items():
        source = settled.sources.get(name, DEFAULT)
        if source != DEFAULT and name not in passed_over:
            value = getattr(settled.config, name)
            shown = shown_value(setting.kind, value if isinstance(value, (int, dict)) else str(value or ""))
            lines.append(f"{setting.key_of(settled.config.backend_name)} = {shown}  ({source.described})")
    return lines


CHECKS = (Check("configuration", "configuration", check_configuration),)
