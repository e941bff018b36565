"""Names that we have to invent: environment variables and parameters."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection


def upper_snake(name: str) -> str:
    """`apiKey`, `api-key` and `ApiKey` as `API_KEY`; "" when nothing of it can stand in a name."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    snake = re.sub(r"[^A-Za-z0-9]+", "_", spaced).strip("_").upper()
    return f"_{snake}" if snake[:1].isdigit() else snake


def parameter_name(code: str, taken: Collection[str]) -> str:
    """A name for the value of an expression: `user.name` -> `name`, `form["q"]` -> `q`, else `value`; never one of `taken`."""
    inner = re.sub(r"^(?:int|str|float)\((.*)\)$", r"\1", code.strip()[-200:])
    match = re.search(r"""(?:^|\.)([A-Za-z_]\w*)$|\[\s*["']([A-Za-z_]\w*)["']\s*\]$|\(\s*["']([A-Za-z_]\w*)["'][^()]*\)$""", inner)
    found = next((group for group in match.groups() if group), "") if match else ""
    base = found.lstrip("_") if found and not keyword.iskeyword(found) else "value"
    name, number = base or "value", 2
    while name in taken:
        name, number = f"{base}_{number}", number + 1
    return name
