"""The same weakness written otherwise, in workflows and Dockerfiles: as `variants_python`, line by line."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping

import yaml

from tests.e2e.variants_python import NAMES

Operator = Callable[[list[str], random.Random], list[str]]
"""Lines and chance -> the lines written otherwise; the same ones where there is nothing to write."""

_JOB = re.compile(r"(\s+)([\w-]+):\s*$")
_STEPS = re.compile(r"(\s*)steps:\s*$")
_ONE_LINE = re.compile(r"(\s*)(-\s+)?run: (?![|>\"'#&*!])(.*\S)\s*$")
_PLAIN = re.compile(r"(\s*(?:-\s+)?(?:uses|runs-on|name): )([\w@./-]+)(\s*(?:#.*)?)$")
_FILE = re.compile(r"(?<![\w./-])([\w-]+)(\.(?:tgz|tar\.gz|sh|gpg|zip|deb)\b)")
_ADDRESS = re.compile(r"(?<![\"'=\w])(https?://[\w./-]+)(?![\w\"'./$-])")


def variants(path: str, source: str, chance: random.Random) -> Iterator[tuple[str, str]]:
    """Kind and text of each variant that can be made of a file."""
    workflow = path.endswith((".yml", ".yaml"))
    for kind, operator in (WORKFLOW if workflow else DOCKERFILE).items():
        text = "\n".join(operator(source.split("\n"), chance))
        if text != source and (not workflow or isinstance(yaml.safe_load(text), dict)):
            yield kind, text


def _other_jobs(lines: list[str], chance: random.Random) -> list[str]:
    """Every job has another name; none where one waits for another."""
    if any(line.strip().startswith("needs:") for line in lines) or "jobs:" not in lines:
        return lines
    first = lines.index("jobs:") + 1
    indent = next((match[1] for line in lines[first:] if (match := _JOB.match(line))), "")
    names = iter(chance.sample(NAMES, len(NAMES)))
    return [
        f"{indent}{next(names)}:" if number >= first and (match := _JOB.match(line)) and match[1] == indent else line
        for number, line in enumerate(lines)
    ]


def _script_on_lines(lines: list[str], _: random.Random) -> list[str]:
    """`run: x` -> a block of lines."""
    made = []
    for line in lines:
        match = _ONE_LINE.match(line)
        if match is None or " #" in line:
            made.append(line)
            continue
        lead = match[1] + (match[2] or "")
        made += [f"{lead}run: |", f"{' ' * len(lead)}  set -eu", f"{' ' * len(lead)}  {match[3]}"]
    return made


def _a_step_before(lines: list[str], _: random.Random) -> list[str]:
    """Another step at the beginning of every job."""
    made = []
    for number, line in enumerate(lines):
        made.append(line)
        item = re.match(r"\s*-", lines[number + 1]) if number + 1 < len(lines) else None
        if _STEPS.match(line) and item is not None:
            made.append(f"{item[0]} run: ls -l")
    return made


def _quoted_values(lines: list[str], _: random.Random) -> list[str]:
    """Plain values in quotes."""
    return [_PLAIN.sub(r'\1"\2"\3', line) for line in lines]


def _other_files(lines: list[str], chance: random.Random) -> list[str]:
    """Every file that is fetched has another name, where it is no part of an address."""
    names = dict[str, str]()
    return [_FILE.sub(lambda m: names.setdefault(m[1], chance.choice(NAMES)) + m[2], line) for line in lines]


def _chain_on_lines(lines: list[str], _: random.Random) -> list[str]:
    """A chain of commands with a line for each."""
    return [line.replace(" && ", " \\\n    && ") if line.startswith(("RUN ", "    ")) else line for line in lines]


def _strict_shell(lines: list[str], _: random.Random) -> list[str]:
    """Every script begins with a command that sets the shell up."""
    return [re.sub(r"^RUN (?![\[<-])", "RUN set -eux; ", line) for line in lines]


def _quoted_addresses(lines: list[str], _: random.Random) -> list[str]:
    """Addresses in quotes."""
    return [_ADDRESS.sub(r'"\1"', line) if not line.lstrip().startswith(("#", "ADD")) else line for line in lines]


WORKFLOW: Mapping[str, Operator] = {
    "rename": _other_jobs,
    "split": _script_on_lines,
    "wrap": _a_step_before,
    "strings": _quoted_values,
}
DOCKERFILE: Mapping[str, Operator] = {
    "rename": _other_files,
    "split": _chain_on_lines,
    "wrap": _strict_shell,
    "strings": _quoted_addresses,
}
