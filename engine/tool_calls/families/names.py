"""The names of the families, without their modules: settings are checked before the families are needed."""

from __future__ import annotations

FAMILY_NAMES = (
    "deepseek_v3",
    "deepseek_v31",
    "deepseek_v32",
    "deepseek_v4",
    "function_gemma",
    "gemma4",
    "glm",
    "harmony",
    "hermes",
    "kimi",
    "minimax",
    "mistral",
    "mistral_v3",
    "qwen3_coder",
)
