"""What counts as built, and what that does to a list."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.model.finding import Confidence, Finding
from pipeline.triage.bundles import LONG_LINE, built_lines, listed
from pipeline.triage.places import is_vendored
from tests.build_reports import SQL, weakness


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a" * (LONG_LINE + 1), {1}),
        (b"a" * LONG_LINE, set()),
        (b"/* licence */\n" + b"a" * 4_000 + b"\n//# sourceMappingURL=app.js.map\n", {2}),
        (b"short()\n" * 100 + b"data = '" + b"a" * 600 + b"'\n", set()),
        (b"", set()),
    ],
)
def test_long_lines_make_a_file_built_when_they_are_most_of_it(content: bytes, expected: set[int]) -> None:
    assert built_lines(content) == expected


def test_a_list_counts_what_stands_in_a_built_file_for_little_and_says_why() -> None:
    by_hand = weakness(detail="comes from `req.query` (line 1)")
    built = replace(by_hand, built=True)
    (first, second) = listed([by_hand, built])
    assert first is by_hand
    assert (second.rule.confidence, second.rule.severity) == (Confidence.LOW, SQL.severity)
    assert second.detail == "comes from `req.query` (line 1) and stands in a built or vendored file"
    assert listed([second]) == [second], "twice is once"
    assert _details(listed([replace(weakness(), built=True)])) == ["stands in a built or vendored file"]


def _details(findings: list[Finding]) -> list[str]:
    return [finding.detail for finding in findings]


def test_copies_of_other_peoples_code_are_known_by_their_folder() -> None:
    assert all(map(is_vendored, ("static/js/vendor/zepto.js", "vendor/x/y.go", "web/node_modules/a/b.js", "lib/third_party/c.py")))
    assert not any(map(is_vendored, ("app/vendor.py", "src/vendoring/a.js", "app/vendors_view/a.py")))
