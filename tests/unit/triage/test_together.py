"""Several findings as one: which go together, what their patch is called, and what their proofs say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.model.finding import Finding, Location, Secret
from pipeline.model.fix import FileEdit, Grouping, Patch, Proof, ProofCheck, ProofWord
from pipeline.triage.grouped import grouped, package_of, packages_in
from pipeline.triage.together import one_patch, one_proof
from tests.unit.store.samples import finding

EDIT = FileEdit("a.py", b"1\n", b"2\n")


def at(path: str, line: int = 1, rule: str = "python.one") -> Finding:
    one = finding()
    return replace(
        one, rule=replace(one.rule, id=rule), location=Location(path, line, line), fingerprint=f"v1:{path}{line}{rule}", secret=None
    )


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("none", [[0], [1], [2], [3]]),
        ("rule", [[0, 2, 3], [1]]),
        ("file", [[0, 1], [2], [3]]),
        ("package", [[0, 1, 2], [3]]),
    ],
)
def test_findings_are_put_together_in_the_order_of_the_worst(by: Grouping, expected: list[list[int]]) -> None:
    found = [at("a/x.py"), at("a/x.py", 2, "python.two"), at("a/sub/y.py"), at("a/inner/lib/z.py")]
    packages = packages_in(["a/pyproject.toml", "a/inner/package.json", "a/x.py", "README.md"])
    assert packages == ["a", "a/inner"]
    assert [[found.index(one) for one in lot] for lot in grouped(found, by, packages)] == expected


def test_ten_go_together_at_most_and_a_secret_stays_alone() -> None:
    found = [at("a.py", line) for line in range(1, 24)]
    found[3] = replace(found[3], secret=Secret("key", "hash"))
    assert [len(lot) for lot in grouped(found, "rule")] == [10, 1, 10, 2]


def test_where_no_folder_is_a_package_it_is_the_one_at_the_top() -> None:
    assert [package_of(path, ()) for path in ("a/b/c.py", "a/d.py", "e.py")] == ["a", "a", ""]
    assert package_of("a/b/c.py", [""]) == ""


def patch(title: str, fixer: str = "f", notes: tuple[str, ...] = ()) -> Patch:
    return Patch((EDIT,), title, f"{title} now.", fixer, notes)


def test_the_patch_of_one_is_its_own_and_of_several_says_how_many() -> None:
    assert one_patch([(at("a.py"), patch("bind it"))], [EDIT]) == patch("bind it")
    both = one_patch([(at("a.py"), patch("bind it", notes=("revoke",))), (at("a.py", 2), patch("bind it"))], [EDIT])
    assert (both.title, both.explanation, both.notes) == ("bind it in 2 places", "bind it now.", ("revoke",))
    mixed = one_patch([(at("a/a.py"), patch("bind it")), (at("a/b.py", 2, "python.two"), patch("quote it", "g"))], [EDIT])
    assert (mixed.title, mixed.fixer, mixed.explanation) == ("mend 2 findings in a", "f, g", "bind it now. quote it now.")
    along = one_patch([(at("a.py"), patch("bind it")), (at("a.py", 2), None)], [EDIT])
    assert along.title == "bind it in 2 places"
    assert len(one_patch([(at("a.py"), patch("b" * 60)), (at("a.py", 2), None)], [EDIT]).title) <= 60


def test_together_they_have_the_weakest_word_and_the_first_and_last_numbers() -> None:
    gone = [
        ProofCheck("finding gone", True, f"{name} fires before and not after", 3 - n, 2 - n) for n, name in enumerate(("K7Q", "M2X", "P4T"))
    ]
    tests = [
        ProofCheck("tests", True, "5 pass", 5, 5),
        ProofCheck("tests", None, "there are none"),
        ProofCheck("tests", True, "5 pass", 5, 5),
    ]
    words = (ProofWord.VERIFIED, ProofWord.RESCANNED, ProofWord.VERIFIED)
    proofs = [Proof(word, (*pair,), ("no test sends hostile input",), seconds=1.0) for word, *pair in zip(words, tests, gone, strict=True)]
    said = one_proof(list(zip(("K7Q", "M2X", "P4T"), proofs, strict=True)))
    assert (said.word, said.seconds, said.not_proven) == (ProofWord.RESCANNED, 3.0, ("no test sends hostile input",))
    by_name = {check.name: check for check in said.checks}
    assert list(by_name) == ["finding gone", "tests"]
    assert (by_name["finding gone"].before, by_name["finding gone"].after) == (3, 0)
    assert by_name["finding gone"].said == "; ".join(check.said for check in gone)
    assert (by_name["tests"].passed, by_name["tests"].said) == (None, "K7Q, P4T: 5 pass; M2X: there are none")
    assert one_proof([("K7Q", proofs[0])]) is proofs[0]
