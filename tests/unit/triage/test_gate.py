"""Never a false green: every conclusion of the gate."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.finding import BaselineState, Confidence, Finding, Severity, Standing
from pipeline.model.review import Conclusion, Verdict
from pipeline.model.scan import Coverage, Gap, GapClass, ScanType
from pipeline.policy import Engines, Gate, Policy
from pipeline.triage.baseline import Compared
from pipeline.triage.gate import ScanFailure, decide_verdict, worst
from tests.build_reports import NOT_INSTALLED, RUNS, SQL, TIMED_OUT, coverage, weakness

LENIENT = Policy(on_incomplete="warn")


def decide(
    *gaps: Gap,
    new: tuple[Finding, ...] = (),
    policy: Policy | None = None,
    ledger: Coverage | None = None,
    failures: tuple[ScanFailure, ...] = (),
) -> Verdict:
    return decide_verdict(
        policy=policy or Policy(),
        compared=Compared(new=new),
        coverage=ledger or coverage(*gaps),
        added={"app/db.py": [(40, 42)]},
        failures=failures,
    )


def mild(severity: Severity = Severity.MEDIUM, confidence: Confidence = Confidence.HIGH) -> Finding:
    return weakness(rule=replace(SQL, severity=severity, confidence=confidence))


def test_complete_and_nothing_new_is_success() -> None:
    verdict = decide()
    assert (verdict.conclusion, verdict.incomplete) == (Conclusion.SUCCESS, "")


def test_a_new_finding_that_blocks_is_failure() -> None:
    verdict = decide(new=(weakness(),))
    assert verdict.conclusion is Conclusion.FAILURE
    assert [j.standing for j in verdict.judged] == [Standing.BLOCKS]


def test_a_new_finding_that_only_warns_lets_the_change_through() -> None:
    verdict = decide(new=(mild(),))
    assert verdict.conclusion is Conclusion.SUCCESS
    assert [j.standing for j in verdict.judged] == [Standing.WARNS]


def test_below_the_policys_confidence_a_finding_warns_and_never_blocks() -> None:
    verdict = decide(new=(mild(Severity.CRITICAL, Confidence.LOW),))
    assert (verdict.conclusion, verdict.judged[0].standing) == (Conclusion.SUCCESS, Standing.WARNS)


def test_below_the_policys_mark_a_finding_is_only_counted() -> None:
    verdict = decide(new=(mild(Severity.LOW),), policy=Policy(gate=Gate(warn="medium")))
    assert (verdict.conclusion, verdict.judged[0].standing) == (Conclusion.SUCCESS, Standing.COUNTED)


def test_a_policy_that_never_blocks_still_lists() -> None:
    verdict = decide(new=(weakness(),), policy=Policy(gate=Gate(block="never")))
    assert (verdict.conclusion, verdict.judged[0].standing) == (Conclusion.SUCCESS, Standing.WARNS)


@pytest.mark.parametrize("policy", [Policy(), LENIENT], ids=["strict", "warn"])
@pytest.mark.parametrize("gap_class", [GapClass.LIMIT, GapClass.ERROR])
def test_incomplete_because_of_the_change_is_failure_under_every_policy(policy: Policy, gap_class: GapClass) -> None:
    verdict = decide(replace(TIMED_OUT, gap_class=gap_class), policy=policy)
    assert verdict.conclusion is Conclusion.FAILURE
    assert verdict.could_not_check == "Could not check app/big.py: semgrep timed out after 60 s"


def test_incomplete_because_of_us_asks_for_action() -> None:
    verdict = decide(NOT_INSTALLED)
    assert verdict.conclusion is Conclusion.ACTION_REQUIRED
    assert verdict.could_not_check == "Could not check: semgrep is not installed here"


def test_only_a_policy_that_says_so_turns_our_fault_into_neutral() -> None:
    assert decide(NOT_INSTALLED, policy=LENIENT).conclusion is Conclusion.NEUTRAL


def test_our_fault_and_the_changes_fault_together_are_failure() -> None:
    verdict = decide(NOT_INSTALLED, TIMED_OUT, policy=LENIENT)
    assert verdict.conclusion is Conclusion.FAILURE
    assert verdict.could_not_check == "Could not check app/big.py: semgrep timed out after 60 s (+1)"


def test_a_blocking_finding_and_a_missing_engine_are_failure_and_both_are_said() -> None:
    verdict = decide(NOT_INSTALLED, new=(weakness(),), policy=LENIENT)
    assert verdict.conclusion is Conclusion.FAILURE
    assert verdict.incomplete


def test_what_no_engine_reads_has_no_effect() -> None:
    assert decide(Gap("semgrep", "logo.png", "binary", GapClass.NOT_APPLICABLE)).conclusion is Conclusion.SUCCESS


def test_nothing_to_scan_is_success_when_every_required_scan_ran() -> None:
    idle = tuple(replace(run, files=0) for run in RUNS)
    assert decide(ledger=Coverage(runs=idle, files_changed=2)).conclusion is Conclusion.SUCCESS


def test_a_required_scan_without_any_coverage_is_never_green() -> None:
    verdict = decide(ledger=coverage(runs=RUNS[:1]))
    assert verdict.conclusion is Conclusion.ACTION_REQUIRED
    assert verdict.could_not_check == "Could not check: secrets_scan did not run"


def test_an_empty_ledger_is_never_green() -> None:
    verdict = decide(ledger=Coverage())
    assert verdict.conclusion is Conclusion.ACTION_REQUIRED
    assert verdict.could_not_check.endswith("(+1)")


def test_an_engine_that_left_a_gap_for_its_whole_run_is_not_blamed_twice() -> None:
    verdict = decide(ledger=coverage(NOT_INSTALLED, runs=RUNS[1:]))
    assert verdict.could_not_check == "Could not check: semgrep is not installed here"


def test_one_missing_engine_does_not_explain_two_missing_scans() -> None:
    verdict = decide(ledger=coverage(NOT_INSTALLED, runs=()))
    assert "secrets_scan" in {gap.engine for gap in verdict.coverage.breaking}


def test_a_failure_that_concerns_every_scan_counts_whatever_is_required() -> None:
    verdict = decide(failures=(ScanFailure(None, "git", "the server cannot be reached"),))
    assert verdict.conclusion is Conclusion.ACTION_REQUIRED
    assert verdict.could_not_check == "Could not check: the server cannot be reached"


def test_a_scan_that_the_policy_does_not_require_may_be_missing() -> None:
    policy = Policy(engines=Engines(required=(ScanType.SEMGREP,)))
    assert decide(ledger=coverage(runs=RUNS[:1]), policy=policy).conclusion is Conclusion.SUCCESS


def test_a_failed_scan_without_a_gap_is_in_the_ledger_and_in_the_verdict() -> None:
    failure = ScanFailure(ScanType.SEMGREP, "semgrep", "crashed (signal 11)", "change")
    verdict = decide(ledger=coverage(runs=RUNS[1:]), failures=(failure,))
    assert verdict.conclusion is Conclusion.FAILURE
    assert verdict.could_not_check == "Could not check: semgrep crashed (signal 11)"
    assert [gap.engine for gap in verdict.coverage.breaking] == ["semgrep"]


def test_a_failed_scan_that_is_not_required_is_only_a_note() -> None:
    policy = Policy(engines=Engines(required=(ScanType.SECRETS,)))
    verdict = decide(policy=policy, failures=(ScanFailure(ScanType.SEMGREP, "semgrep", "timed out", "change"),))
    assert verdict.conclusion is Conclusion.SUCCESS
    assert verdict.notes == ("semgrep timed out; the policy does not require semgrep_scan.",)


def test_rules_on_trial_are_in_no_count() -> None:
    trial = weakness(rule=replace(SQL, shadow=True))
    verdict = decide_verdict(
        policy=Policy(), compared=Compared(new=(trial,), unchanged=(trial,), fixed=(trial,)), coverage=coverage(), added={}
    )
    assert (verdict.conclusion, verdict.judged, verdict.older) == (Conclusion.SUCCESS, (), 0)


def test_a_new_finding_on_a_line_that_the_author_did_not_touch_is_still_new() -> None:
    verdict = decide(new=(weakness("app/view.py", 7),))
    assert verdict.conclusion is Conclusion.FAILURE
    assert [(j.baseline, j.in_diff) for j in verdict.judged] == [(BaselineState.NEW, False)]


def test_what_blocks_comes_first_and_the_rest_is_told_apart() -> None:
    gone, unknown, old = weakness(what="1"), weakness(what="2"), weakness(what="3")
    compared = Compared(new=(mild(), weakness()), unchanged=(old,), fixed=(gone,), not_reevaluated=(unknown,))
    verdict = decide_verdict(policy=Policy(), compared=compared, coverage=coverage(), added={"app/db.py": [(41, 41)]})
    assert [(j.baseline, j.standing) for j in verdict.judged] == [
        (BaselineState.NEW, Standing.BLOCKS),
        (BaselineState.NEW, Standing.WARNS),
        (BaselineState.FIXED, Standing.COUNTED),
        (BaselineState.NOT_REEVALUATED, Standing.COUNTED),
    ]
    assert verdict.older == 2
    assert all(j.in_diff for j in verdict.standing(Standing.BLOCKS))


GAPS = st.lists(
    st.builds(
        Gap,
        st.sampled_from(["semgrep", "betterleaks", "git", "policy"]),
        st.sampled_from(["", "a.py", "b.py"]),
        st.sampled_from(["timed out", "larger than 1 MB", "binary"]),
        st.sampled_from(list(GapClass)),
        st.sampled_from(["change", "us"]),
    ),
    max_size=4,
)


@given(
    GAPS,
    st.sets(st.sampled_from(RUNS)),
    st.lists(st.builds(mild, st.sampled_from(list(Severity)), st.sampled_from(list(Confidence))), max_size=3),
    st.sampled_from(["fail", "warn"]),
)
def test_success_means_complete_and_nothing_blocks(gaps: list[Gap], runs: set[object], new: list[Finding], on_incomplete: str) -> None:
    policy = Policy.model_validate({"on_incomplete": on_incomplete})
    ledger = coverage(*gaps, runs=tuple(run for run in RUNS if run in runs))
    verdict = decide(ledger=ledger, new=tuple(new), policy=policy)
    blocks = any(policy.blocks(f.rule.severity, f.rule.confidence) for f in new)
    complete = len(runs) == len(RUNS) and not ledger.breaking
    assert (verdict.conclusion is Conclusion.SUCCESS) is (complete and not blocks)
    assert bool(verdict.incomplete) is (not complete)
    if verdict.conclusion is Conclusion.NEUTRAL:
        assert on_incomplete == "warn"
        assert all(gap.blame == "us" for gap in verdict.coverage.breaking)
    if blocks or any(gap.blame == "change" for gap in ledger.breaking):
        assert verdict.conclusion is Conclusion.FAILURE


def test_a_shared_head_shows_the_worst_verdict() -> None:
    verdicts = [Verdict(Conclusion.SUCCESS), Verdict(Conclusion.FAILURE), Verdict(Conclusion.ACTION_REQUIRED)]
    assert worst(verdicts) is verdicts[1]
    with pytest.raises(ValueError, match="no verdict"):
        worst([])
