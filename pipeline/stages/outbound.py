"""The last hands through which everything goes that is shown on a code host: what must not leave is taken out of it here.

One place for all hosts and all stages. What a stage wrote is complete by then, so that whatever it put together is looked at as a whole.
A patch is another matter: with something taken out of it, it would be broken code. Its text is looked at where fixes are made
(`leak_in`), and a branch whose new lines would tell something is refused here, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from pipeline.errors import HostRejected
from pipeline.escaping import cut, size
from pipeline.leaks import Filter
from pipeline.model.fix import BranchCommit, Patch, PullRequestDraft
from pipeline.model.report import AdvisoryDraft, Annotation, Check, Thread
from pipeline.ports import Capabilities

LEAKS = "its lines hold what looks like a credential, and Fixwright repeats none"
"""Why a fix is not shown, a clause."""

_SUGGESTION = re.compile(r"```suggestion(:[-+\d]*)?")
"""The fence of lines that can be applied, as far as it says so (`Capabilities.suggestion_fence`)."""


class Outbound:
    """What is shown of one repository.

    Args:
        known: what must not leave.
        limits: of the host: what stands in the place of something may be longer.
    """

    def __init__(self, known: Filter, limits: Capabilities) -> None:
        self._known, self._limits = known, limits

    def title(self, text: str) -> str:
        """A line."""
        return cut(self._known.clean(text), max(self._limits.max_title, size(text)))

    def body(self, text: str) -> str:
        """Markdown. Lines that are offered as a change (`suggestion`) are shown as mere code when something had to be taken out."""
        cleaned = self._known.clean(text)
        if cleaned == text:
            return text
        shown = _SUGGESTION.sub("```", cleaned)
        return shown if size(shown) <= self._limits.max_body else cut(shown, self._limits.max_body)

    def check(self, check: Check) -> Check:
        """A check with its annotations."""
        return replace(
            check,
            title=self.title(check.title),
            summary=self.body(check.summary),
            text=self.body(check.text),
            annotations=tuple(map(self._annotation, check.annotations)),
        )

    def thread(self, thread: Thread) -> Thread:
        """A conversation on a line."""
        return replace(thread, body=self.body(thread.body), note=self.body(thread.note), path=self._known.clean(thread.path))

    def commit(self, commit: BranchCommit) -> BranchCommit:
        """A commit that we are to make. Raises HostRejected when its new lines would tell something."""
        if any(self._known.touches(new) for new in new_lines(commit.patch)):
            raise HostRejected(f"the patch is not pushed: {LEAKS}")
        return replace(commit, message=self.body(commit.message))

    def pull_request(self, draft: PullRequestDraft) -> PullRequestDraft:
        """A pull request of ours."""
        return replace(draft, title=self.title(draft.title), body=self.body(draft.body))

    def advisory(self, draft: AdvisoryDraft) -> AdvisoryDraft:
        """A private draft."""
        return replace(draft, summary=self._known.clean(draft.summary), description=self.body(draft.description))

    def _annotation(self, annotation: Annotation) -> Annotation:
        clean = self._known.clean
        return replace(annotation, path=clean(annotation.path), title=self.title(annotation.title), message=self.body(annotation.message))


def new_lines(patch: Patch) -> list[str]:
    """Of each file, what the patch brings that was not there: its new lines, as one text."""
    texts = []
    for edit in patch.edits:
        old = set((edit.before or b"").split(b"\n"))
        lines = [line for line in (edit.after or b"").split(b"\n") if line not in old]
        texts.append(b"\n".join(lines).decode("utf-8", "replace"))
    return texts


def leak_in(clean: Callable[[str], str], patch: Patch, diff: str) -> str:
    """Why a patch may not be shown, a sentence's end; empty when it may.

    Args:
        diff: as it would be shown, with the lines around the change.
    """
    return LEAKS if any(clean(text) != text for text in (diff, patch.explanation, patch.title, *patch.notes)) else ""
