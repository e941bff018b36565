"""What the persons of the double do when they are asked to over HTTP."""

from __future__ import annotations

from collections.abc import Mapping

from tests.worlds.control import Arguments, Verb, Verbs
from tests.worlds.github.anchors import Unplaceable
from tests.worlds.github.model import PullRequest, Repository
from tests.worlds.github.world import GithubWorld


class Control(Verbs):
    """Carries out one verb after the other on a world."""

    def __init__(self, world: GithubWorld) -> None:
        self._world = world
        verbs: Mapping[str, Verb] = {
            "create_repository": self._create_repository,
            "set_permission": lambda given: self._world.set_permission(repository=self._repository(given), **given),
            "commit": lambda given: {"sha": self._world.commit(self._repository(given), **given)},
            "force_push": lambda given: {"sha": self._world.force_push(self._repository(given), **given)},
            "open_pull_request": lambda given: _shown(self._world.open_pull_request(repository=self._repository(given), **given)),
            "comment": lambda given: {"id": self._world.comment(pull=self._pull(given), **given).id},
            "reply_in_thread": lambda given: {"id": self._world.reply_in_thread(**given).id},
            "merge": lambda given: {"sha": self._world.merge(pull=self._pull(given), **given)},
            "close": lambda given: self._world.close(pull=self._pull(given), **given),
            "webhook_url": self._webhook_url,
            "token_for": lambda given: {"token": self._world.token_for(**given)},
        }
        super().__init__(world, verbs, Unplaceable)

    def _repository(self, given: Arguments) -> Repository:
        """The repository named `owner/name` in the arguments, which is taken out of them. Raises LookupError."""
        name = str(given.pop("repository"))
        found = self._world.github.state.repository(*name.split("/", 1))
        if found is None:
            raise LookupError(f"no repository {name}")
        return found

    def _pull(self, given: Arguments) -> PullRequest:
        return self._repository(given).pulls[given.pop("number")]

    def _create_repository(self, given: Arguments) -> Arguments:
        repository = self._world.create_repository(**given)
        return {"id": repository.id, "full_name": repository.full_name}

    def _webhook_url(self, given: Arguments) -> None:
        self._world.webhook_url = given["url"]


def _shown(pull: PullRequest) -> Arguments:
    return {"number": pull.number, "head": pull.head_sha, "base": pull.base_sha}
