"""A GitLab that is only its hooks, for tests of what is done with them: what it refuses, keeps to itself, and silently ignores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.errors import FixwrightError, HostNotFound, HostRejected
from pipeline.model.target import SourceRepository
from providers.gitlab.hook_places import Place
from providers.gitlab.hook_writing import new_signing_token
from providers.gitlab.hooks import HookAnswer, Kind

URL = "https://fixwright.example.com/webhooks/gitlab"
TOKEN = "-".join(("a", "secret", "token"))
SIGNING = new_signing_token()


def a_project(number: int, path: str, *, archived: bool = False, level: int = 40) -> Place:
    repository = SourceRepository("gitlab", "gitlab.com", str(number), path, "main", f"https://gitlab.com/{path}.git", installation="acme")
    return Place("project", number, path, repository, archived, level)


@dataclass
class FakeGitlab:
    """Hooks in memory, as GitLab keeps them."""

    places: dict[str, Place]
    premium: bool = True
    tells_plan: bool = True
    """False: an instance of one's own, which says `default` of every licence."""
    signs: bool | None = True
    """None: an instance that has never heard of signing tokens."""
    tests: bool = True
    accepted: bool = True
    """Whether what is delivered for a test is answered with a success."""
    refused: dict[str, FixwrightError] = field(default_factory=dict)
    standing: dict[tuple[Kind, int], dict[int, dict[str, object]]] = field(default_factory=dict)
    asking: dict[str, dict[int, tuple[str, str]]] = field(default_factory=dict)
    """External status checks of projects, with their secrets."""
    calls: list[str] = field(default_factory=list)
    numbers: int = 100

    def find(self, name: str) -> Place:
        self._guard(name)
        if name not in self.places:
            raise HostNotFound(f"there is no group or project {name}")
        return self.places[name]

    def projects(self, group: Place) -> Sequence[Place]:
        inside = [place for path, place in self.places.items() if path == place.path and path.startswith(f"{group.path}/")]
        return [place for place in inside if place.kind == "project" and not place.archived]

    def subgroups(self, group: Place) -> Sequence[Place]:
        return [place for path, place in self.places.items() if place.kind == "group" and path.startswith(f"{group.path}/")]

    def owned(self, most: int) -> Sequence[Place]:
        return list(self.places.values())[:most]

    def plan(self, group: Place) -> str:
        return ("premium" if self.premium else "free") if self.tells_plan else "default"

    def hooks(self, place: Place) -> Sequence[HookAnswer]:
        self.calls.append(f"list {place.path}")
        self._guard(place.path)
        return [HookAnswer.model_validate(self._shown(number, hook)) for number, hook in self._at(place).items()]

    def make(self, place: Place, attributes: dict[str, object]) -> HookAnswer:
        self.numbers += 1
        self.calls.append(f"make {place.path}")
        self._at(place)[self.numbers] = {**attributes}
        return HookAnswer.model_validate(self._shown(self.numbers, attributes))

    def change(self, place: Place, hook: int, attributes: dict[str, object]) -> HookAnswer:
        self.calls.append(f"change {place.path}")
        self._at(place)[hook].update(attributes)
        return HookAnswer.model_validate(self._shown(hook, self._at(place)[hook]))

    def remove(self, place: Place, hook: int) -> None:
        self.calls.append(f"remove {place.path}")
        del self._at(place)[hook]

    def status_checks(self, place: Place) -> Sequence[tuple[int, str]]:
        self._guard(f"status {place.path}")
        return [(number, url) for number, (url, _) in self.asking.get(place.path, {}).items()]

    def write_status_check(self, place: Place, check: int, url: str, secret: str) -> None:
        self.numbers += 1
        self.asking.setdefault(place.path, {})[check or self.numbers] = (url, secret)

    def test(self, place: Place, hook: int) -> None:
        self.calls.append(f"test {place.path}")
        self._guard(f"test {place.path}")
        if not self.tests:
            raise HostNotFound("404 Not Found")
        if not self.accepted:
            raise HostRejected("the hook was answered 401")
        self._at(place)[hook]["alert_status"] = "executable"

    def put(self, path: str, **attributes: object) -> int:
        """A hook that stands there before; its number."""
        self.numbers += 1
        self._at(self.places[path])[self.numbers] = {"url": URL, **attributes}
        return self.numbers

    def stands(self, path: str) -> list[dict[str, object]]:
        """Hooks of a place as GitLab has them, with their secrets."""
        return list(self._at(self.places[path]).values())

    def _at(self, place: Place) -> dict[int, dict[str, object]]:
        return self.standing.setdefault((place.kind, place.id), {})

    def _shown(self, number: int, hook: dict[str, object]) -> dict[str, object]:
        if self.signs is None:
            present: dict[str, object] = {}
        else:
            present = {"token_present": bool(hook.get("token")), "signing_token_present": self.signs and bool(hook.get("signing_token"))}
        return {**{name: value for name, value in hook.items() if "token" not in name}, **present, "id": number}

    def _guard(self, name: str) -> None:
        if name in self.refused:
            raise self.refused[name]


GROUP, SUBGROUP = Place("group", 1, "acme"), Place("group", 2, "acme/infra")
SHOP, NET, OLD = a_project(10, "acme/shop"), a_project(11, "acme/infra/net"), a_project(12, "acme/old", archived=True)
PLACES = {place.path: place for place in (GROUP, SUBGROUP, SHOP, NET, OLD)}
