"""More entries for `ignore` in the text of a policy file: what people wrote stays as it is, comments too. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence

import yaml

from pipeline.errors import UsageError
from pipeline.policy.parse import MAX_BYTES, parse_document
from pipeline.policy.schema import Ignore, Policy

MOST = 200
"""Entries that a policy takes; see `Policy.ignore`."""


def append_ignores(content: bytes | None, path: str, entries: Sequence[Ignore]) -> bytes:
    """The file with these entries behind those that it has.

    Args:
        content: of the file; None: there is none yet.
        path: its name, for errors.

    Raises:
        PolicyInvalid: the file cannot be used as it is; UsageError: the entries have no place in it.
    """
    before = parse_document(content, path).policy if content is not None else Policy()
    text = (content or b"").decode("utf-8")
    written = _with(text, [_spelled(entry) for entry in entries]).encode("utf-8")
    if len(written) > MAX_BYTES:
        raise UsageError(f"{path} would be larger than {MAX_BYTES // 1024} KB", hint="take in less at a time")
    after = parse_document(written, path).policy
    if after.ignore != (*before.ignore, *entries) or after.model_copy(update={"ignore": before.ignore}) != before:
        raise UsageError(f"{path} is written in a way that this cannot add to", hint="write `ignore:` as a list with one entry a line")
    return written


def _with(text: str, entries: Sequence[Sequence[str]]) -> str:
    node = yaml.compose(text, Loader=yaml.SafeLoader) if text.strip() else None
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    known = next((value for key, value in pairs if key.value == "ignore"), None)
    if known is None:
        head = text if not text or text.endswith("\n") else text + "\n"
        gap = "\n" if head.strip() else ""
        return f"{head}{gap}ignore:\n{_block(entries, 2)}"
    if isinstance(known, yaml.SequenceNode) and known.value and not known.flow_style:
        last = known.value[-1].end_mark.index
        at = len(text[:last].rstrip()) + 1
        line_end = text.find("\n", at - 1)
        at = len(text) if line_end < 0 else line_end + 1
        head = text[:at] if text[:at].endswith("\n") else text[:at] + "\n"
        return head + _block(entries, known.start_mark.column) + text[at:]
    return f"{text[: known.start_mark.index].rstrip()}\n{_block(entries, 2)}{text[known.end_mark.index :].lstrip(chr(10))}"


def _block(entries: Sequence[Sequence[str]], indent: int) -> str:
    blank = " " * indent
    return "".join(f"{blank}{'- ' if number == 0 else '  '}{line}\n" for entry in entries for number, line in enumerate(entry))


def _spelled(entry: Ignore) -> list[str]:
    """JSON's strings are YAML's, too."""
    values = entry.model_dump(exclude_none=True)
    return [f"{key}: {json.dumps(values[key])}" for key in ("rule", "path", "finding", "reason", "until") if key in values]
