"""Entries that are added to a policy file leave everything else as people wrote it."""

from __future__ import annotations

import pytest

from pipeline.errors import PolicyInvalid, UsageError
from pipeline.policy import Ignore, parse_document
from pipeline.policy.append import append_ignores

ENTRY = Ignore(finding="v1:" + "ab" * 16, path="/a [b].py", reason='imported from "x": \\ # :', until="2027-02-21")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# ours\n",
        "gate:\n  block: critical  # for now",
        "ignore:\n  - rule: a.b\n    reason: it is so\n    until: 2027-01-01  # soon\n\n# behind it\ngate:\n  block: high\n",
        "ignore:\n- rule: a.b\n  reason: >\n    it is so\n    and so\n  until: 2027-01-01",
        "gate: {block: high}\nignore: []\nspeak:\n  threads: 3\n",
    ],
    ids=["empty", "a comment", "no entry", "entries", "without indent", "empty list"],
)
def test_entries_stand_behind_the_others_and_nothing_else_changes(text: str) -> None:
    before = parse_document(text.encode(), "p").policy
    written = append_ignores(text.encode() or None, "p", [ENTRY, ENTRY.model_copy(update={"rule": "x.y"})])
    after = parse_document(written, "p").policy
    assert after.ignore[: len(before.ignore)] == before.ignore
    assert [entry.reason for entry in after.ignore[len(before.ignore) :]] == [ENTRY.reason] * 2
    assert after.model_copy(update={"ignore": before.ignore}) == before
    assert all(line in written.decode() for line in text.splitlines() if "[]" not in line)


def test_a_file_that_cannot_be_used_or_added_to_is_left_alone() -> None:
    with pytest.raises(PolicyInvalid):
        append_ignores(b"gate: {block: whatever}\n", "p", [ENTRY])
    with pytest.raises(UsageError, match="larger than 64 KB"):
        append_ignores(b"#" * 65_000, "p", [ENTRY] * 20)
