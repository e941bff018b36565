"""One finding for each weakness at each place, whoever saw it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from pipeline.foreign import read_log
from pipeline.model.finding import Location
from pipeline.triage.witnesses import join, place
from tests.build_reports import weakness
from tests.unit.test_foreign import log, result, run

FILES = {
    "app/db.py": b"import db\n\ndef find(name):\n    query = 'select ' + name\n    return db.execute(query)\n",
    "app/cli.py": b"import os\nos.system('x')\n",
}


def test_a_result_has_our_fingerprint_which_moves_with_the_code() -> None:
    (one,) = place(log(run(result())), FILES.keys(), FILES.get, "/r", lambda _: False).found
    moved = {"app/db.py": b"# new\n" + FILES["app/db.py"]}
    (other,) = place(log(run(result(line=5))), moved.keys(), moved.get, "/r", lambda _: False).found
    assert one.finding.fingerprint.startswith("v1:")
    assert one.finding.fingerprint == other.finding.fingerprint
    assert (one.finding.scope, one.finding.excerpt) == ("find", "    query = 'select ' + name")


def test_absolute_places_are_found_below_this_folder_or_that_of_the_other_machine() -> None:
    here = log(run(result("file:///home/me/repo/app/db.py"), result("app/cli.py", 2)))
    there = log(run(result("/builds/acme/shop/app/db.py"), result("/builds/acme/shop/app/cli.py", 2), result("/usr/lib/app/x/db.py")))
    above = log(run(result("shop/app/db.py")))
    for logs, found in ((here, 2), (there, 2), (above, 1)):
        read = place(logs, FILES.keys(), FILES.get, "/home/me/repo", lambda _: False)
        assert len(read.found) == found
    assert [gap.reason for gap in place(there, FILES.keys(), FILES.get, "/r", lambda _: False).gaps] == [
        "1 result of Bandit not taken: no such file here"
    ]


def test_places_outside_of_the_folder_are_never_read() -> None:
    asked: list[str] = []

    def read_file(path: str) -> bytes:
        asked.append(path)
        return b"1\n2\n3\n4\n"

    logs = log(run(result("../../etc/passwd"), result("/etc/passwd"), result("app/../../secret")))
    read = place(logs, FILES.keys(), read_file, "/r", lambda _: False)
    assert (read.found, asked) == ((), [])
    assert read.gaps[0].reason == "3 results of Bandit not taken: no such file here"


def test_lines_beyond_the_file_are_a_counted_gap() -> None:
    read = place(log(run(result(line=5), result(line=6), result(line=900))), FILES.keys(), FILES.get, "/r", lambda _: False)
    assert len(read.found) == 1
    (gap,) = read.gaps
    assert (gap.path, gap.reason) == (
        "app/db.py",
        "2 results of Bandit not taken: the file has 5 lines; the file of the scanner is of another state",
    )


def test_what_the_policy_leaves_out_is_counted_in_a_note() -> None:
    read = place(log(run(result(), result("app/cli.py", 2))), FILES.keys(), FILES.get, "/r", lambda path: path == "app/cli.py")
    assert (len(read.found), read.gaps) == (1, ())
    assert read.notes == ("1 result of other.sarif not taken: the policy leaves out its file.",)


def test_the_value_of_a_secret_is_in_nothing_that_is_kept() -> None:
    files = {"conf.py": b"KEY = 'hunter2-hunter2'\n"}
    place_of = result("conf.py", 1, ruleId="generic-api-key")
    place_of["locations"][0]["physicalLocation"]["region"] |= {"startColumn": 8, "endColumn": 23}
    for one in (place_of, result("conf.py", 1, ruleId="generic-api-key")):
        (found,) = place(log(run(one, rules=[], name="gitleaks")), files.keys(), files.get, "/r", lambda _: False).found
        assert found.finding.secret is not None
        assert "hunter2" not in repr(found)


def test_same_weakness_at_the_same_place_is_one_finding_with_two_witnesses() -> None:
    ours = replace(weakness(line=5), location=Location("app/db.py", 5, 5), scope="find")
    others = place(log(run(result(line=5))), FILES.keys(), FILES.get, "/r", lambda _: False).found
    joined = join([ours], others)
    assert (joined.alone, joined.doubled) == ((), 1)
    assert joined.ours == (replace(ours, witnesses=("Bandit B608",)),)


def test_a_scanner_without_data_flow_points_at_the_line_that_builds_the_query() -> None:
    ours = replace(weakness(line=5), location=Location("app/db.py", 5, 5), source=Location("app/db.py", 3, 3), scope="find")
    others = place(log(run(result(line=4))), FILES.keys(), FILES.get, "/r", lambda _: False).found
    assert join([ours], others).ours[0].witnesses == ("Bandit B608",)
    elsewhere = replace(ours, scope="other")
    assert join([elsewhere], others).ours == (elsewhere,)


def test_another_weakness_at_the_same_place_is_another_finding() -> None:
    ours = replace(weakness(line=5), location=Location("app/db.py", 5, 5))
    shell: list[dict[str, Any]] = [{"id": "B605", "properties": {"tags": ["external/cwe/cwe-78"]}}, {"id": "odd"}]
    others = place(log(run(result(line=5, ruleId="B605"), result(line=5, ruleId="odd"), rules=shell)), FILES.keys(), FILES.get, "/r",
        lambda _: False).found  # fmt: skip
    joined = join([ours], others)
    assert joined.ours == (ours,)
    assert sorted(finding.rule.id for finding in joined.alone) == ["sarif.bandit.b605", "sarif.bandit.odd"]


def test_what_several_others_say_is_one_finding_too() -> None:
    rules = [{"id": "tainted-sql", "properties": {"tags": ["CWE-89: SQL injection"], "security-severity": "9.1"}}]
    others = place(log(run(result(line=5)), run(result(line=5, ruleId="tainted-sql"), name="Semgrep OSS", rules=rules)), FILES.keys(),
        FILES.get, "/r", lambda _: False).found  # fmt: skip
    joined = join([], others)
    assert [(f.rule.id, f.witnesses) for f in joined.alone] == [("sarif.semgrep-oss.tainted-sql", ("Bandit B608",))]


def test_one_result_twice_is_one_finding() -> None:
    others = place(log(run(result(), result())), FILES.keys(), FILES.get, "/r", lambda _: False).found
    joined = join([], others)
    assert ([f.witnesses for f in joined.alone], joined.doubled) == ([()], 1)


def test_the_order_of_results_does_not_matter() -> None:
    logs = [run(result(line=5)), run(result(line=5, ruleId="py/sql", properties={"tags": ["external/cwe/cwe-89"]}), name="CodeQL")]
    answers = {
        join([], place(read_log(_bytes(order), "x"), FILES.keys(), FILES.get, "/r", lambda _: False).found).alone
        for order in (logs, logs[::-1])
    }
    assert len(answers) == 1


def _bytes(runs: list[dict[str, object]]) -> bytes:
    return json.dumps({"version": "2.1.0", "runs": runs}).encode()
