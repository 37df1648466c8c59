"""Checks the model: its folder, its weights, its window, and what MLX makes of it."""

from __future__ import annotations

import platform
import subprocess

from engine import bundled_model
from engine.model_files.context_window import read_window
from engine.model_files.errors import ModelError
from engine.model_files.tokenizer_files import tokenizer_files
from engine.model_files.weight_files import weight_choices
from engine.model_files.whole_folder import TOKENIZER_DOCUMENTS, damaged_document
from engine.wire.model_report import read_report
from tui.client.figures import plural, size
from tui.commands.claude_window import LEAST_WINDOW
from tui.commands.doctor.examination import Examination
from tui.commands.doctor.findings import Check, Finding, failed, not_checked, ok, warning
from tui.commands.engine_report import report_command, report_environment
from tui.commands.model_memory import folder_of

_OTHER_MODEL = "choose a model in MLX format that is trained for tool calls, with --model"


def check_folder(examination: Examination) -> Finding:
    """Is the configured model a folder on this machine?"""
    if examination.model_faults:
        return failed(
            "; ".join(examination.model_faults),
            "finish or repeat its download, or name another model with --model",
        )
    config = examination.config
    if config.backend != "mlx":
        return not_checked(f"the backend {config.backend_name} has its own model")
    folder = folder_of(config.model)
    if folder is None:
        return warning(
            f"{config.model} is not downloaded yet",
            "nothing: the first start downloads it",
            holds=False,
        )
    examination.model_folder = folder
    name = config.model or f"the {bundled_model.NAME}"
    if not config.model:
        return ok(f"{name}, which is for trying things out; {bundled_model.CHOOSE}")
    return ok(f"{name}" if name == str(folder) else f"{name} in {folder}")


def check_weights(examination: Examination) -> Finding:
    """Is every file of the index there, and is the index of these weights?"""
    folder = examination.model_folder
    assert folder is not None
    try:
        choice = weight_choices(folder)[0]
        total = sum(file.stat().st_size for file in choice.files)
    except ModelError as error:
        return failed(str(error), "finish or repeat the download of the model")
    evidence = f"{plural(len(choice.files), 'file')}, {size(total)}"
    if choice.notes:
        return warning(
            f"{evidence}; {'; '.join(choice.notes)}",
            "the engine loads the right files; remove the others, or download the model again",
        )
    return ok(evidence)


def check_tokenizer(examination: Examination) -> Finding:
    """Is there a tokenizer?"""
    folder = examination.model_folder
    assert folder is not None
    found = tokenizer_files(folder)
    again = "download the model again; a model without its tokenizer cannot be used"
    if not found:
        return failed(f"{folder} has no tokenizer (such as tokenizer.json)", again)
    if damaged := damaged_document(folder, TOKENIZER_DOCUMENTS):
        evidence, _, advice = damaged.rpartition("; ")
        return failed(evidence, f"{advice}; a model without its tokenizer cannot be used")
    return ok(", ".join(found))


def check_window(examination: Examination) -> Finding:
    """How many tokens does the model's window have, and are they enough for Claude Code?"""
    assert examination.model_folder is not None
    asked = examination.config.context_tokens
    stated = read_window(examination.model_folder).tokens
    tokens = asked or stated
    if not tokens:
        return warning(
            "the model's files do not state its context window; the engine assumes 32,768 tokens",
            "set contextTokens to what its card says",
        )
    evidence = f"{tokens:,} tokens" + (f" as set; its files state {stated:,}" if asked else "")
    if tokens < LEAST_WINDOW:
        return warning(
            f"{evidence}; long tasks need {LEAST_WINDOW:,} or more",
            "take a model with a longer window for long tasks",
        )
    return ok(evidence)


def check_mlx(examination: Examination) -> Finding:
    """Run MLX in a process of its own: does it work, on which device, and what does it say of the model?

    Only here is mlx imported, and only in that process.
    """
    config, folder = examination.config, examination.model_folder
    if config.backend != "mlx":
        return not_checked(f"the backend {config.backend_name} does not use it")
    command = report_command(folder, config, beside_bytes=_draft_bytes(config.draft_model))
    again = "install anyclaude-tui again (make install), in an environment of its own"
    try:
        ended = examination.edge.run(command, report_environment(examination.environ))
        report = examination.report = read_report(ended.stdout)
    except (OSError, subprocess.TimeoutExpired) as error:
        return failed(f"the engine's program cannot be run: {error}", again)
    except ValueError:
        words = ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"]
        return failed(f"MLX does not run here: {words[-1][:300]}", again)
    versions = ", ".join(f"{name} {version}" for name, version in report.libraries.items())
    macos = platform.mac_ver()[0]
    system = f"macOS {macos}" if macos else f"{platform.system()} {platform.release()}"
    evidence = f"{versions}, Python {platform.python_version()}, {system}; {report.device or 'no device'}"
    if report.device_fault:
        return warning(f"{evidence}: {report.device_fault}", "start it in a terminal of the desktop")
    if report.device.startswith("reference BLAS"):
        return warning(evidence, "install that package; the engine finds it")
    return ok(evidence, report.machine)


def _draft_bytes(model: str) -> int:
    """The bytes of a draft model's weights, 0 where there is none yet."""
    folder = folder_of(model) if model else None
    try:
        return sum(file.stat().st_size for file in weight_choices(folder)[0].files) if folder else 0
    except (ModelError, OSError):
        return 0


def check_architecture(examination: Examination) -> Finding:
    """Can mlx-lm build the model, and its prompt cache?"""
    report = examination.report
    if report.fault:
        evidence, _, advice = report.fault.rpartition("; ")
        return failed(evidence or report.fault, advice if evidence else _OTHER_MODEL)
    if report.cache_fault:
        return warning(
            f"its prompt cache could not be looked at: {report.cache_fault}",
            "start the engine: it tries the cache when it loads the model, and reports what it finds",
            holds=False,
        )
    kinds = ", ".join(f"{count} x {name}" for name, count in report.cache_kinds.items())
    way = (
        "reused from checkpoints: some layers keep a state that cannot be trimmed"
        if report.needs_checkpoints
        else "reused from any token on"
    )
    return ok(f"prompt cache of {kinds}; {way}")


def check_template(examination: Examination) -> Finding:
    """Does its chat template render messages?"""
    if examination.report.template_fault:
        return failed(examination.report.template_fault, _OTHER_MODEL)
    return ok(
        f"a chat template that shows its messages; a vocabulary of {examination.report.tokens:,} tokens"
    )


def check_tools(examination: Examination) -> Finding:
    """Does the model see tools, and in which form does it write calls?"""
    if not examination.report.tools_rendered:
        return failed(
            "its chat template has no place for tools: they are written as text, which it may not know",
            _OTHER_MODEL,
        )
    family = examination.report.family
    if not family:
        return failed(
            "neither its chat template nor its tokens show how it writes tool calls",
            f"name the form with --tool-format if its card tells; else {_OTHER_MODEL}",
        )
    chosen = " as set" if examination.config.tool_format else ""
    return ok(f"{family}{chosen}")


def check_memory(examination: Examination) -> Finding:
    """Do the weights and a session of its whole window fit into this machine's memory?"""
    report = examination.report
    limit = f"the engine may take {size(report.limit_bytes)} ({report.limit_reason})"
    facts = [f"{size(report.ram_bytes)} of memory"]
    if report.working_set_bytes:
        facts.append(f"the GPU recommends a working set of {size(report.working_set_bytes)}")
    facts.append(f"a token takes {size(report.kv_bytes)}")
    smaller = "take a smaller model or one in fewer bits"
    if report.weights_bytes > report.limit_bytes:
        return failed(
            f"the weights take {size(report.weights_bytes)}, and {limit}", smaller, details=tuple(facts)
        )
    fitting, window = report.fitting_tokens, report.window_tokens
    evidence = f"weights of {size(report.weights_bytes)} and about {fitting:,} of {window:,} tokens; {limit}"
    if fitting < min(LEAST_WINDOW, window):
        return warning(
            evidence, f"{smaller}, or set kvBits; long tasks need {LEAST_WINDOW:,}", details=tuple(facts)
        )
    return ok(evidence, *facts)


CHECKS = (
    Check("model.folder", "model", check_folder, ("configuration",)),
    Check("model.weights", "weights", check_weights, ("model.folder",)),
    Check("model.tokenizer", "tokenizer", check_tokenizer, ("model.folder",)),
    Check("model.window", "context window", check_window, ("model.weights",)),
    Check("engine.mlx", "MLX", check_mlx, ("configuration",)),
    Check(
        "model.architecture",
        "cache kind",
        check_architecture,
        ("model.weights", "model.tokenizer", "engine.mlx"),
    ),
    Check("model.template", "chat template", check_template, ("model.architecture",)),
    Check("model.tools", "tool calls", check_tools, ("model.template",)),
    Check("model.memory", "memory", check_memory, ("model.architecture",)),
)
