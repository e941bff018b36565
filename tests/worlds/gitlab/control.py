"""What the persons of the double do when they are asked to over HTTP."""

from __future__ import annotations

from collections.abc import Mapping

from tests.worlds.control import Arguments, Verb, Verbs
from tests.worlds.gitlab.actions import Impossible
from tests.worlds.gitlab.model import MergeRequest, Project
from tests.worlds.gitlab.state import find_discussion
from tests.worlds.gitlab.talk import BadNote
from tests.worlds.gitlab.world import GitlabWorld


class Control(Verbs):
    """Carries out one verb after the other on a world. `project` is a full path, `number` an iid."""

    def __init__(self, world: GitlabWorld) -> None:
        self._world = world
        verbs: Mapping[str, Verb] = {
            "create_project": self._create_project,
            "set_access": lambda given: self._world.set_access(place=self._project(given), **given),
            "commit": lambda given: {"sha": self._world.commit(self._project(given), **given)},
            "force_push": lambda given: {"sha": self._world.force_push(self._project(given), **given)},
            "open_merge_request": lambda given: _shown(self._world.open_merge_request(project=self._project(given), **given)),
            "comment": lambda given: {"id": self._world.comment(request=self._request(given), **given).id},
            "reply_in_discussion": self._reply,
            "merge": lambda given: {"sha": self._world.merge(request=self._request(given), **given)},
            "close": lambda given: self._world.close(request=self._request(given), **given),
            "webhook_url": self._webhook_url,
            "token_for": self._token_for,
            "token_of": lambda given: {"token": self._world.token_of(self._project(given), **given)},
        }
        super().__init__(world, verbs, Impossible, BadNote)

    def _project(self, given: Arguments) -> Project:
        """The project named in the arguments, which is taken out of them. Raises LookupError."""
        name = str(given.pop("project"))
        found = self._world.gitlab.state.project(name)
        if found is None:
            raise LookupError(f"no project {name}")
        return found

    def _request(self, given: Arguments) -> MergeRequest:
        return self._project(given).merge_requests[given.pop("number")]

    def _reply(self, given: Arguments) -> Arguments:
        wanted = str(given.pop("discussion"))
        found = find_discussion(self._request(given), wanted)
        if found is None:
            raise LookupError(f"no discussion {wanted}")
        return {"id": self._world.reply_in_discussion(discussion=found, **given).id}

    def _create_project(self, given: Arguments) -> Arguments:
        project = self._world.create_project(**given)
        return {"id": project.id, "full_path": project.full_path}

    def _token_for(self, given: Arguments) -> Arguments:
        scopes = tuple(given.pop("scopes", ["api"]))
        return {"token": self._world.token_for(scopes=scopes, **given)}

    def _webhook_url(self, given: Arguments) -> None:
        self._world.webhook_url = given["url"]


def _shown(request: MergeRequest) -> Arguments:
    return {"number": request.iid, "head": request.head, "base": request.version.refs.base}
