"""`anyclaude-tui models show`: one model in detail, by its files and by what MLX makes of them.

A section is a title and rows of (name, text). Each comes from a function of its own; what is known of the
chat template has its place in `template_section`.
"""

from __future__ import annotations

import json
import re
import subprocess
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engine.model_files.description import ModelDescription, describe
from engine.model_files.errors import ModelError
from engine.model_files.tokenizer_files import tokenizer_files
from engine.options.kinds import printable
from engine.process.json_files import read_object
from engine.wire.model_report import ModelReport, read_report
from proxy.configuration.settled import HostConfig
from proxy.local_models.facts import ModelFacts, files_below
from proxy.local_models.stores import FoundModel
from tui.client.figures import plural, size
from tui.commands.claude_window import LEAST_WINDOW
from tui.commands.doctor.examination import RunProgram, run_program
from tui.commands.doctor.report import terminal_width
from tui.commands.engine_report import report_command, report_environment
from tui.commands.exit_codes import ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.models.inventory import Inventory
from tui.commands.models.running import running_models
from tui.commands.output import write_data

_NAME_CELLS = 14
_LARGEST = 5  # files that are listed
_LICENSE = re.compile(r"^license(?:_name)?:\s*(\S.*)$", re.MULTILINE)
_CARD_BYTES = 20_000
_SAMPLING = ("do_sample", "temperature", "top_p", "top_k", "min_p", "repetition_penalty")


@dataclass(frozen=True, slots=True)
class ShownModel:
    """All that is known of one model; `found` is None where the files describe none, `report` without MLX."""

    model: FoundModel
    facts: ModelFacts
    found: ModelDescription | None = None
    report: ModelReport | None = None
    report_fault: str = ""
    files: Sequence[tuple[Path, int]] = field(default=())


Section = tuple[str, list[tuple[str, str]]]


def run_models_show(
    invocation: Invocation, name: str, *, as_json: bool, run: RunProgram = run_program
) -> int:
    """Print one model; returns 1 if no engine can run it here.

    Raises:
        proxy.configuration.settled.ConfigError, tui.commands.exit_codes.CommandFailed: see `Invocation`; or
            there is no such model.
    """
    inventory = Inventory.settle(invocation)
    model = inventory.find(name)
    facts = inventory.facts(model, running_models(inventory.settled))
    found = None
    try:
        found = describe(model.path) if model.path.is_dir() else None
    except (ModelError, OSError, ValueError, RecursionError):
        pass  # the facts have the reason
    report, fault = None, ""
    if found is not None and facts.condition in ("ready", "too large"):
        say("asking MLX …")
        report, fault = _report(invocation, model.path, inventory.settled.config, run)
    files = list(files_below(model.path)) if model.path.is_dir() else []
    shown = ShownModel(model, facts, found, report, fault, files)
    write_data(_document(shown) if as_json else "".join(f"{line}\n" for line in lines(shown)))
    return ExitCode.FINE if facts.condition == "ready" and not _fault(shown) else 1


def lines(shown: ShownModel) -> Iterator[str]:
    """The text: sections with their rows, wrapped to the terminal."""
    columns = terminal_width()
    for number, (title, rows) in enumerate(sections(shown)):
        yield from [""] if number else []
        yield printable(title)
        for name, text in rows:
            yield from textwrap.wrap(
                printable(text, 1000),
                columns,
                initial_indent=f"  {name:<{_NAME_CELLS}}",
                subsequent_indent=" " * (_NAME_CELLS + 2),
                break_on_hyphens=False,
                break_long_words=False,
            ) or [f"  {name}"]


def sections(shown: ShownModel) -> Iterator[Section]:
    """All sections that say something."""
    makers = (model_section, files_section, weights_section, template_section, memory_section)
    for maker in makers:
        section = maker(shown)
        if section[1]:
            yield section


def model_section(shown: ShownModel) -> Section:
    facts = shown.facts
    rows = [("store", f"{facts.store}, {shown.model.store.root}"), ("folder", facts.path)]
    state = facts.condition + (f": {facts.reason}" if facts.reason else "")
    rows.append(("condition", state))
    if fault := _fault(shown):
        rows.append(("MLX", fault))
    if facts.used_by:
        rows.append(("used by", ", ".join(facts.used_by)))
    return facts.name, rows


def files_section(shown: ShownModel) -> Section:
    if not shown.files:
        return "files", []
    total = sum(nbytes for _, nbytes in shown.files)
    rows = [("in all", f"{plural(len(shown.files), 'file')}, {size(total)}")]
    largest = sorted(shown.files, key=lambda file: -file[1])[:_LARGEST]
    rows += [("", f"{size(nbytes):>8}  {path.relative_to(shown.model.path)}") for path, nbytes in largest]
    if shown.found is not None:
        rows += [("note", note) for note in shown.found.notes]
        rows.append(("tokenizer", ", ".join(tokenizer_files(shown.model.path)) or "none"))
    if licence := _licence(shown.model.path):
        rows.append(("licence", licence))
    return "files", rows


def weights_section(shown: ShownModel) -> Section:
    found = shown.found
    if found is None:
        return "model", []
    kind = found.model_type + ("" if found.known else ", which mlx-lm has no module for")
    rows = [("architecture", ", ".join([kind, *found.architectures]))]
    quantization = found.quantization
    group = f", groups of {quantization.group_size}" if quantization.group_size else ""
    mixed = ", some modules in other bits" if quantization.mixed else ""
    rows.append(("weights", f"{quantization.name}{group}{mixed}; {size(found.weights_bytes)} are loaded"))
    rows += [("not loaded", f"{size(n)} of weights for {sense}") for sense, n in found.ignored_bytes.items()]
    stated = f"{found.window_tokens:,} tokens" if found.window_tokens else "not stated; 32,768 are assumed"
    learned = f"; it has learned {found.learned_tokens:,} positions" if found.learned_tokens else ""
    scaled = f"; {found.scaling}" if found.scaling else ""
    rows.append(("window", stated + learned + scaled))
    if sampling := _sampling(shown.model.path):
        rows.append(("sampling", sampling))
    return "model", rows


def template_section(shown: ShownModel) -> Section:
    """What its chat template does: the place for all that is known of templates."""
    if shown.found is None:
        return "chat template", []
    text = shown.found.template
    rows = [("length", f"{len(text):,} characters" if text else "none: messages are written as plain text")]
    report = shown.report
    if report is not None and not report.fault:
        rows.append(("faults", report.template_fault or "none"))
        rows.append(("tools", "shown by the template" if report.tools_rendered else "written as text"))
        rows.append(
            ("thinking", f"switched by {report.thinking_switch}" if report.thinking_switch else "no switch")
        )
    family = (report.family if report is not None else "") or shown.facts.family
    if not family and report is not None and report.tools_form:
        family = f"{report.tools_form}, which prompts ask for"
    rows.append(("tool calls", family or "their form is not known; --tool-format names it"))
    if report is not None and report.new_project:
        rows.append(("new project", _new_project(**report.new_project)))
    adapted = report.adaptations if report is not None else []
    rows += [("adapted" if number == 0 else "", sentence) for number, sentence in enumerate(adapted)]
    return "chat template", rows


def _new_project(prompt: int, computed: int, behind: int) -> str:
    said = f"computes about {computed:,} of {prompt:,} tokens of its first prompt"
    if behind < computed:
        return f"{said}, with projectTextBehindTools {behind:,}"
    return f"{said}; projectTextBehindTools changes nothing here"


def memory_section(shown: ShownModel) -> Section:
    report, facts = shown.report, shown.facts
    if report is None or report.fault:
        cache = [("cache", f"{facts.cache}, by its files")] if facts.cache else []
        return "memory", cache
    kinds = ", ".join(f"{number} x {name}" for name, number in report.cache_kinds.items())
    way = "from checkpoints alone" if report.needs_checkpoints else "from any token on"
    rows = [("cache", report.cache_fault or f"{kinds}; prompts are reused {way}")]
    rows.append(("a token", f"{size(report.kv_bytes)} of KV"))
    rows.append(("weights", size(report.weights_bytes)))
    rows.append(("the engine", f"may take {size(report.limit_bytes)} ({report.limit_reason})"))
    fits = f"about {report.fitting_tokens:,} of {report.window_tokens:,} tokens"
    least = min(LEAST_WINDOW, report.window_tokens)
    few = "" if report.fitting_tokens >= least else f"; long tasks of Claude Code need {LEAST_WINDOW:,}"
    rows.append(("fits", fits + few if report.fitting_tokens else "not at all"))
    return "memory", rows


def _report(
    invocation: Invocation, folder: Path, config: HostConfig, run: RunProgram
) -> tuple[ModelReport | None, str]:
    try:
        ended = run(report_command(folder, config), report_environment(invocation.environ))
        return read_report(ended.stdout), ""
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        return None, f"MLX could not be asked ({error}); see anyclaude-tui doctor"


def _fault(shown: ShownModel) -> str:
    return shown.report_fault or (shown.report.fault if shown.report is not None else "")


def _document(shown: ShownModel) -> str:
    found: dict[str, Any] | None = None
    if shown.found is not None:
        left = ("template", "files")
        found = {name: value for name, value in asdict(shown.found).items() if name not in left}
        found |= {"files": [file.name for file in shown.found.files]}
        found |= {"template_characters": len(shown.found.template)}
    document = shown.facts.as_json() | {
        "description": found,
        "report": asdict(shown.report) if shown.report is not None else None,
        "report_fault": shown.report_fault,
        "licence": _licence(shown.model.path),
        "files": [{"name": str(file.relative_to(shown.model.path)), "bytes": n} for file, n in shown.files],
    }
    return json.dumps(document, indent=1, default=str) + "\n"


def _licence(folder: Path) -> str:
    try:
        with (folder / "README.md").open(encoding="utf-8", errors="replace") as card:
            found = _LICENSE.search(card.read(_CARD_BYTES))
    except OSError:
        return ""
    return found[1].strip() if found else ""


def _sampling(folder: Path) -> str:
    named = read_object(folder / "generation_config.json")
    return ", ".join(f"{name} {named[name]}" for name in _SAMPLING if name in named)
