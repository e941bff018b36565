"""What Fixwright answers about a fix that is made, refined or called off, and what it explains of a finding. As `pipeline.answers`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pipeline import phrases
from pipeline.answers import NAMED, SENTENCE, proof_word, render_status
from pipeline.escaping import code, cut, fenced, prose, sentence
from pipeline.model.command import Mending, Situation
from pipeline.model.finding import Finding, Judged
from pipeline.model.fix import Fix, FixStatus
from pipeline.model.review import Verdict

FixTopic = Literal[
    "not-understood",
    "no-patch-yet",
    "being-made",
    "nothing-better",
    "called-off",
    "nothing-made",
    "gone-meanwhile",
    "no-fixer",
    "fix-all",
    "overtaken",
    "not-finished",
]

WORDS = ("another way", "first", "only FILE", "leave FILE out", "without the environment sample file")
"""What can be wished for; see `pipeline.wishes`."""


def render_fix_answer(
    topic: FixTopic,
    *,
    handle: str = "",
    handles: Sequence[str] = (),
    asked: str = "",
    error: str = "",
    number: int = 0,
    left: int = 0,
    before: int = 0,
) -> str:
    """An answer as Markdown; everything in it is escaped.

    Args:
        handle: of the finding; `handles`: of those that the answer is about.
        asked: what was typed; `error`: why something came to nothing, a clause.
        number: how many fixes were asked for; `left`: how many were not taken up; `before`: how many had been asked for earlier.
    """
    name = code(cut(handle, 200))
    named = ", ".join(code(cut(one, 200)) for one in handles[:NAMED])
    match topic:
        case "not-understood":
            words = ", ".join(code(word) for word in WORDS)
            return f"No fixer here can follow {code(cut(asked, 100))}. What can be wished for: {words}. Nothing was done."
        case "no-patch-yet":
            if error:
                why = prose(cut(error, SENTENCE)).rstrip(".")
                return f"There is no patch for {name} that could be refined, as the last one was refused: {why}."
            return f"There is no patch for {name} that could be refined. {code(f'/fix {cut(handle, 200)}')} makes one."
        case "being-made":
            return f"A patch for {name} is being made already. Ask again when it has ended, or call it off: {code('/cancel')}."
        case "nothing-better":
            return f"No other patch for {name}: {prose(cut(error, SENTENCE)).rstrip('.')}. What was proven before stands."
        case "called-off":
            return f"Called off: {named}. Nothing was changed."
        case "nothing-made":
            return f"Nothing is being made for {code(cut(asked, 100))}." if asked else "Nothing is being made here."
        case "gone-meanwhile":
            return f"{name} is not open any more: the newest commit does not have it, or it was waived. Nothing was done."
        case "no-fixer":
            return "No fixer knows how to mend what is open here."
        case "fix-all":
            more = f" {left:,} more: ask again when these have ended." if left else ""
            earlier = f" {before:,} {'was' if before == 1 else 'were'} asked for before." if before else ""
            if not number:
                return f"Nothing new to ask for.{earlier} One comment says what became of {'it' if before == 1 else 'them'}."
            return (
                f"{phrases.plural(number, 'fix', 'fixes')} asked for: {named}.{earlier}{more} One comment says what becomes of all of them."
            )
        case "overtaken":
            return "That check is of an older commit. The buttons of the newest commit's check are the ones to press. Nothing was done."
        case "not-finished":
            return "This commit is still being checked. Ask again when the check has ended. Nothing was done."


def render_explanation(judged: Judged, places: Sequence[str] = ()) -> str:
    """What a rule found, why it matters, where, which data reaches it, and what a fix would do: from the rule and the finding alone.

    Args:
        places: where else the same finding stands.
    """
    known = judged.standing.value in ("blocks", "warns")
    last = f"- It {judged.standing.value} this change." if known else f"- It is {judged.standing.value}."
    return _explanation(judged.finding, _data(judged.finding), last, places)


def render_mended(mends: Mending, pull_request_word: str) -> str:
    """The same on the page of a pull request of ours, of what it mends; `mends.finding` is there. Where everybody may read it nothing is
    said of the way that data takes: it leads through other places of the default branch."""
    finding = mends.finding
    if finding is None:
        raise ValueError("what is forgotten cannot be explained")
    return _explanation(finding, [] if mends.openly else _data(finding), f"- This {pull_request_word} mends it.")


def render_forgotten(mends: Mending) -> str:
    """When what was found is not remembered any more."""
    return f"What was found of {code(cut(mends.fix.handle, 200))} is not kept any more."


def render_is_the_fix(mends: Mending, pull_request_word: str) -> str:
    """To somebody who asks for a fix on the page of the pull request that is one."""
    name = code(cut(mends.fix.place or mends.fix.handle, 200))
    return (
        f"This {pull_request_word} is the fix for {name} ({_state(mends.fix)}). "
        f"{code('/refine another way')} asks for another patch, {code('/explain')} says what is mended. Nothing was done."
    )


def render_standing(situation: Situation | None, verdict: Verdict | None, mends: Mending | None, pull_request_word: str) -> str:
    """What is known of a pull request: as `render_status`, and of one of ours how its fix stands."""
    known = render_status(situation, verdict, pull_request_word)
    if mends is None:
        return known
    tries = f", attempt {mends.fix.attempt}" if mends.fix.attempt > 1 else ""
    return f"This {pull_request_word} mends {code(cut(mends.fix.place or mends.fix.handle, 200))}: {_state(mends.fix)}{tries}.\n\n{known}"


def _state(fix: Fix) -> str:
    if fix.status is FixStatus.COMPLETED:
        return proof_word(fix.proof)
    return "the newest patch could not be pushed" if fix.status is FixStatus.PR_UPDATE_FAILED else f"the newest attempt is {fix.status}"


def _explanation(finding: Finding, data: Sequence[str], last: str, places: Sequence[str] = ()) -> str:
    rule = finding.rule
    name = code(finding.handle or phrases.where(finding))
    facts = f"{rule.severity.word}, {rule.confidence.word} confidence, {code(rule.id)}, CWE-{rule.cwe}"
    head = f"{name}: **{prose(phrases.what(finding))}** ({facts})"
    more = f", and at {', '.join(code(cut(place, 200)) for place in places[:NAMED])}" if places else ""
    scope = f", in {code(cut(finding.scope, 100))}" if finding.scope else ""
    parts = [
        head,
        sentence(cut(rule.message, SENTENCE)),
        f"- Where: {code(cut(phrases.where(finding), 200))}{scope}{more}.",
        *data,
        f"- A fix: {_fix(finding)}",
        last,
    ]
    shown = fenced(cut(finding.excerpt, 1_200)) if finding.excerpt and finding.secret is None else ""
    return "\n".join([parts[0], "", parts[1], "", *parts[2:]]) + (f"\n\n{_quoted(shown)}" if shown else "")


def _data(finding: Finding) -> list[str]:
    if finding.detail:
        return [f"- Data: {sentence(cut(finding.detail, SENTENCE))}"]
    if finding.source is not None:
        return [f"- Data: it enters at {code(cut(f'{finding.source.path}:{finding.source.line}', 200))}."]
    return []


def _fix(finding: Finding) -> str:
    if finding.secret is not None:
        return "revoke it first, as it stays in the history; then let the program read it from where it runs."
    return sentence(cut(finding.rule.help, SENTENCE)) if finding.rule.help else "the rule does not say how."


def _quoted(block: str) -> str:
    """Indented behind a mark, so that no line of a repository is taken for a command of ours."""
    return "\n".join(f"> {line}" for line in block.splitlines())
