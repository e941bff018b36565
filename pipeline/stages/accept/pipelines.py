"""What follows when a pipeline of the host's own CI began: our verdict has to stand in it, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pipeline.messages import AcceptEvent, ShowCheck
from pipeline.model.event import PipelineEvent
from pipeline.model.review import Review, ReviewStatus
from pipeline.model.target import PullRequestRef
from pipeline.stages.accept.queue import judge_group
from pipeline.stages.accept.sending import send
from pipeline.stages.context import Context
from pipeline.store.work import Work


def pipeline(context: Context, message: AcceptEvent, event: PipelineEvent) -> None:
    """Say what is known of the changes that it runs for once more, as it may be the one that decides about them by now.

    A host tells of a pipeline at each of its steps. It is looked for when it began and when it ended well, for each state of a review:
    whatever is decided later is said where it counts then.
    """
    with context.finish() as work:
        for review in _concerned(work, event):
            settled = review.status in (ReviewStatus.PUBLISHING, ReviewStatus.DONE, ReviewStatus.FAILED)
            step = f"{'settled' if settled else 'live'}:{'ended' if event.ended else 'begun'}"
            key = f"show_check:{review.id}:{event.repository.external_id}:{event.id}:{step}"
            send(work, ShowCheck(review.id), key, group=review.id)
        if event.queue is not None:
            judge_group(work, message, event.queue)


def _concerned(work: Work, event: PipelineEvent) -> Sequence[Review]:
    """The newest review of the pull request that the pipeline runs for; of a branch's pipeline those of every open one whose head it runs
    on, one for each repository, as they share what is shown there. Of what was never judged nothing is said: its own delivery begins it."""
    if event.number:
        newest = work.reviews.newest(PullRequestRef(replace(event.repository, external_id=event.target), event.number))
        return [] if newest is None or newest.status is ReviewStatus.CANCELLED else [newest]
    found = work.reviews.open_pulls_at(event.repository, event.commit)
    return list({one.change.repository.external_id: one for one in found}.values())
