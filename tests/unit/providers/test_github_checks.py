"""The check run: batches, crashes half-way, limits. GitHub's rules about annotations are in the small double below."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from pipeline.errors import HostUnavailable
from pipeline.model.ids import CommitId
from pipeline.model.report import Annotation, Check, CheckAction
from pipeline.model.review import Conclusion
from pipeline.model.target import CommitRef
from tests.unit.providers.github_wire import APP_ID, REPOSITORY, Memory, Reply, Seen, Wire

COMMIT = CommitRef(REPOSITORY, CommitId("a" * 40))


@dataclass
class Checks:
    """Check runs that behave as GitHub's: annotations append, more than 50 are refused, a conclusion completes."""

    runs: list[dict[str, Any]] = field(default_factory=list)
    fail: set[int] = field(default_factory=set)
    """Numbers of the writes (from 1) that are done and then answered with 500."""
    lost: set[int] = field(default_factory=set)
    """Numbers of the writes that are answered with 500 and not done."""
    writes: int = 0

    def __call__(self, seen: Seen) -> Reply | None:
        if seen.path.endswith("/access_tokens") or "check-runs" not in seen.path:
            return None
        if seen.method == "GET":
            return self._read(seen)
        self.writes += 1
        if self.writes in self.lost:
            return httpx.Response(500)
        answer = self._write(seen)
        return httpx.Response(500) if self.writes in self.fail else answer

    def _read(self, seen: Seen) -> Reply:
        start = (int(seen.query.get("page", 1)) - 1) * 100
        if seen.path.endswith("/annotations"):
            items = self._run(seen.path.split("/")[-2])["annotations"]
            found: Any = items[start : start + 100]
        else:
            assert seen.path.endswith(f"/commits/{COMMIT.commit}/check-runs")
            assert (seen.query["check_name"], seen.query["app_id"], seen.query["filter"]) == ("Fixwright", APP_ID, "all")
            items = self.runs
            found = {"total_count": len(items), "check_runs": [self._shown(run) for run in items[start : start + 100]]}
        more = {"link": f'<https://api.github.com{seen.path}?page={start // 100 + 2}>; rel="next"'} if len(items) > start + 100 else {}
        return httpx.Response(200, json=found, headers=more)

    def _write(self, seen: Seen) -> Reply:
        body = dict(seen.body)
        annotations: Any = body["output"].get("annotations", [])  # type: ignore[attr-defined]  # JSON of our own making
        if len(annotations) > 50:
            return httpx.Response(422, json={"message": "Invalid request. No more than 50 items are allowed"})
        if seen.method == "POST":
            assert seen.path == "/repos/octo/shop/check-runs"
            run: dict[str, Any] = {"id": 100 + len(self.runs), "annotations": [], "conclusion": None, "states": []}
            self.runs.append(run)
        else:
            run = self._run(seen.path.split("/")[-1])
        run["annotations"].extend(annotations)
        run.update({key: value for key, value in body.items() if key not in ("output",)})
        run["output"] = body["output"]
        run["states"].append((run["status"], run.get("conclusion")))
        return httpx.Response(200, json=self._shown(run))

    def _run(self, number: str) -> dict[str, Any]:
        return next(run for run in self.runs if run["id"] == int(number))

    def _shown(self, run: dict[str, Any]) -> dict[str, Any]:
        output = {key: value for key, value in run["output"].items() if key != "annotations"}
        return {**run, "output": {"annotations_count": len(run["annotations"]), **output}}


def annotation(number: int) -> Annotation:
    return Annotation(f"app/f{number % 7}.py", number, number, "failure", f"title {number}", f"message {number}")


def check(annotations: int = 0, conclusion: Conclusion | None = Conclusion.FAILURE, key: str = "review-1", **more: Any) -> Check:
    return Check(
        key,
        more.pop("title", "2 block"),
        more.pop("summary", "the summary"),
        conclusion,
        annotations=tuple(annotation(number) for number in range(1, annotations + 1)),
        **more,
    )


def numbers(run: dict[str, Any]) -> list[int]:
    return [item["start_line"] for item in run["annotations"]]


@pytest.mark.parametrize(("count", "batches"), [(0, 1), (1, 1), (50, 1), (51, 2), (100, 2), (500, 10)])
def test_annotations_go_out_in_fifties_in_order_and_the_conclusion_with_the_last(count: int, batches: int) -> None:
    checks = Checks()
    reference = Wire(checks).host().ensure_check(COMMIT, check(count))
    (run,) = checks.runs
    assert reference.id == str(run["id"])
    assert numbers(run) == list(range(1, count + 1))
    assert run["states"] == [("in_progress", None)] * (batches - 1) + [("completed", "failure")]
    assert (run["name"], run["external_id"], run["head_sha"]) == ("Fixwright", "review-1", COMMIT.commit)


@pytest.mark.parametrize("count", [0, 51, 500])
def test_twice_is_once(count: int) -> None:
    checks = Checks()
    wire = Wire(checks)
    first = wire.host().ensure_check(COMMIT, check(count))
    writes = checks.writes
    assert wire.host().ensure_check(COMMIT, check(count)) == first
    assert checks.writes == writes
    assert len(checks.runs) == 1


@pytest.mark.parametrize("kind", ["fail", "lost"])
@pytest.mark.parametrize("at", range(1, 6))
def test_a_crash_at_any_write_leaves_neither_a_hole_nor_a_double_annotation(kind: str, at: int) -> None:
    checks = Checks(fail={at}) if kind == "fail" else Checks(lost={at})
    wire = Wire(checks)
    with pytest.raises(HostUnavailable):
        wire.host().ensure_check(COMMIT, check(210))
    wire.host().ensure_check(COMMIT, check(210))
    (run,) = checks.runs
    assert numbers(run) == list(range(1, 211))
    assert run["states"][-1] == ("completed", "failure")
    assert all(state == ("in_progress", None) for state in run["states"][:-1]) or (kind, at) == ("fail", 5)


def test_it_is_in_progress_first_and_the_same_run_is_completed() -> None:
    checks = Checks()
    host = Wire(checks).host()
    first = host.ensure_check(COMMIT, check(conclusion=None, title="Scanning"))
    second = host.ensure_check(COMMIT, check(3))
    assert first == second
    assert checks.runs[0]["states"] == [("in_progress", None), ("completed", "failure")]


def test_a_completed_run_is_never_set_back_a_new_one_takes_its_place() -> None:
    checks = Checks()
    host = Wire(checks).host()
    first = host.ensure_check(COMMIT, check())
    again = host.ensure_check(COMMIT, check(conclusion=None))
    assert again != first
    assert host.ensure_check(COMMIT, check(conclusion=None)) == again
    assert host.ensure_check(COMMIT, check(conclusion=Conclusion.SUCCESS)) == again
    assert [run["states"][-1] for run in checks.runs] == [("completed", "failure"), ("completed", "success")]


def test_another_key_is_another_run() -> None:
    checks = Checks()
    host = Wire(checks).host()
    assert host.ensure_check(COMMIT, check()) != host.ensure_check(COMMIT, check(key="review-2"))


def test_annotations_that_are_no_longer_wanted_mean_a_new_run_because_they_cannot_be_taken_away() -> None:
    checks = Checks()
    host = Wire(checks).host()
    host.ensure_check(COMMIT, check(3))
    host.ensure_check(COMMIT, check(1, conclusion=Conclusion.NEUTRAL))
    host.ensure_check(COMMIT, check(1, conclusion=Conclusion.NEUTRAL))
    assert [numbers(run) for run in checks.runs] == [[1, 2, 3], [1]]


def test_more_annotations_are_added_to_the_same_run_which_stays_completed() -> None:
    checks = Checks()
    host = Wire(checks).host()
    host.ensure_check(COMMIT, check(60))
    host.ensure_check(COMMIT, check(170))
    (run,) = checks.runs
    assert numbers(run) == list(range(1, 171))
    assert run["states"][2:] == [("completed", "failure")] * 3


def test_equal_annotations_all_arrive() -> None:
    checks = Checks()
    host = Wire(checks).host()
    same = Check("k", "t", "s", Conclusion.FAILURE, annotations=(annotation(1),) * 60)
    host.ensure_check(COMMIT, same)
    host.ensure_check(COMMIT, same)
    assert numbers(checks.runs[0]) == [1] * 60


@pytest.mark.parametrize("conclusion", list(Conclusion))
def test_every_conclusion_is_githubs_own_word(conclusion: Conclusion) -> None:
    checks = Checks()
    Wire(checks).host().ensure_check(COMMIT, check(conclusion=conclusion))
    assert checks.runs[0]["conclusion"] == conclusion.value
    assert conclusion.value in {"success", "neutral", "cancelled", "action_required", "failure"}


def test_buttons_are_there_only_when_it_is_completed_and_within_the_limits() -> None:
    actions = tuple(CheckAction("l" * 30, "d" * 60, "i" * 30) for _ in range(5))
    checks = Checks()
    host = Wire(checks).host()
    host.ensure_check(COMMIT, check(conclusion=None, actions=actions))
    assert "actions" not in checks.runs[0]
    host.ensure_check(COMMIT, check(actions=actions))
    sent = checks.runs[0]["actions"]
    assert len(sent) == 3
    assert {len(action["label"]) for action in sent} == {20}
    assert {len(action["description"]) for action in sent} == {40}
    assert {len(action["identifier"]) for action in sent} == {20}


def test_texts_keep_githubs_limits_in_bytes_and_stay_whole_characters() -> None:
    checks = Checks()
    wide = Annotation("a.py", 0, -3, "notice", "ä" * 300, "ä" * 40_000)
    long = Check("k", "ä" * 300, "€" * 40_000, Conclusion.SUCCESS, text="€" * 40_000, annotations=(wide,))
    Wire(checks).host().ensure_check(COMMIT, long)
    output = checks.runs[0]["output"]
    assert len(output["title"].encode()) <= 255
    assert all(65_530 <= len(output[name].encode()) <= 65_535 for name in ("summary", "text"))
    assert output["summary"].endswith("€…")
    (sent,) = checks.runs[0]["annotations"]
    assert (sent["start_line"], sent["end_line"]) == (1, 1)
    assert len(sent["title"].encode()) <= 255
    assert len(sent["message"].encode()) <= 64 * 1024


def test_a_file_name_that_is_no_unicode_is_sent_once() -> None:
    checks = Checks()
    host = Wire(checks).host()
    odd = Check("k", "t", "s", Conclusion.FAILURE, annotations=(Annotation("a\udcff.py", 1, 1, "failure", "t", "m"),))
    host.ensure_check(COMMIT, odd)
    host.ensure_check(COMMIT, odd)
    assert [item["path"] for item in checks.runs[0]["annotations"]] == ["a?.py"]
    assert len(checks.runs) == 1


def test_a_check_is_written_with_a_token_for_checks_alone() -> None:
    wire = Wire(Checks())
    wire.host(Memory()).ensure_check(COMMIT, check(1))
    assert [minted["permissions"] for minted in wire.minted] == [{"checks": "write"}]
