"""The hourly look at our webhooks: one that GitLab switched off because deliveries failed is switched on again.

Where they are is remembered: `fixwright gitlab connect` tells, and once a day everything is looked through where our role lets us see
hooks, because hooks are set by hand, too. Between that an hour costs one request a place.

Sources: docs "Webhooks" (auto-disabled webhooks), "Project webhooks API", "Group webhooks API".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from pipeline.errors import HostError, HostForbidden, HostNotFound, NotConfigured
from pipeline.model.setup import Diagnosis
from pipeline.ports import Configuration, HostMemory
from providers.gitlab.hook_places import PAID, UNTOLD, HookApi, Place
from providers.gitlab.hook_writing import proven, read_back, switch_on
from providers.gitlab.hooks import HookAnswer, Kind, Wanted, drift, is_signed, repairs, same_address
from providers.gitlab.settings import Site

REMEMBERED: Final = 400 * 86_400.0
"""Seconds for which it is remembered where our hooks are; each look at them begins that anew."""
LOOKED_THROUGH: Final = 86_400.0
"""Seconds between two looks through everything."""
SOON: Final = 1_800.0
"""Seconds after which one that GitLab did not let come to its end is tried again: the next hour's."""
MOST: Final = 300
"""Groups, and projects, that are looked through; `connect` tells of all that it connects, however many."""
REFUSALS: Final = 3
"""So many places in a row that we are not let into, and the look ends: it is the token's role."""
TEMPLATE: Final = "custom_webhook_template"
SHOWN: Final = 20
"""Hooks that `doctor` names."""


class Looking(HookApi, Protocol):
    """What the look asks of GitLab."""

    def owned(self, most: int) -> Sequence[Place]:
        """Groups and projects whose hooks our role lets us see, at most so many of each."""


@dataclass(frozen=True, slots=True)
class Known:
    """Where our hooks of one address on one GitLab hang, in the memory that all processes share."""

    memory: HostMemory
    site: Site
    hook_url: str

    def places(self) -> list[Place]:
        """All that are remembered, by path."""
        stored = self.memory.get(self._key("places"))
        try:
            found = json.loads(stored or b"[]")
            places = [Place("group" if kind == "group" else "project", int(number), str(path)) for kind, number, path in found]
        except (ValueError, TypeError):  # written by another version
            return []
        return sorted(places, key=lambda place: (place.path, place.kind))

    def add(self, places: Sequence[Place]) -> None:
        """Our hooks are there, too."""
        self._put({(one.kind, one.id): one for one in (*self.places(), *places)}.values())

    def drop(self, *places: Place) -> None:
        """There is nothing of ours there any more."""
        gone = {(place.kind, place.id) for place in places}
        self._put([one for one in self.places() if (one.kind, one.id) not in gone])

    def due(self) -> bool:
        """True once a day: everything is to be looked through."""
        return self.memory.compare_and_set(self._key("looked"), None, b"1", LOOKED_THROUGH)

    def look_again(self, seconds: float) -> None:
        """The look through everything did not come to its end."""
        self.memory.put(self._key("looked"), b"1", seconds)

    def _put(self, places: Iterable[Place]) -> None:
        rows = sorted({(one.kind, one.id, one.path) for one in places})
        self.memory.put(self._key("places"), json.dumps(rows).encode(), REMEMBERED)

    def _key(self, what: str) -> str:
        where = hashlib.sha256(self.hook_url.encode()).hexdigest()[:16]
        return f"gitlab/{self.site.authority}/hooks/{where}/{what}"


def wanted_of(kind: Kind, configuration: Configuration, hook_url: str) -> Wanted:
    """A hook as the settings want it. Raises NotConfigured without any secret."""
    token, signing = (configuration.get(name, "").strip() for name in ("WEBHOOK_SECRET", "SIGNING_TOKEN"))
    if not token and not signing:
        raise NotConfigured("neither a webhook secret nor a signing token of GitLab is set", hint="run: fixwright gitlab connect")
    return Wanted(kind, hook_url, token, signing)


class Caretaker:
    """Looks after our hooks.

    Args:
        configuration: of the instance, with its secrets.
        hook_url: where GitLab is to deliver.
    """

    def __init__(self, api: Looking, memory: HostMemory, site: Site, configuration: Configuration, hook_url: str) -> None:
        self._api, self._configuration, self._url = api, configuration, hook_url
        self.known = Known(memory, site, hook_url)

    def tend(self) -> Iterator[Diagnosis]:
        """What was switched on again (`ok` True), and what a person has to see to (False). Raises HostError for what stops the look as a
        whole, and NotConfigured."""
        known = self.known.places()
        yield from self._tend_all(known)
        if self.known.due():
            try:
                found = self._found_by_looking()
                self.known.add(found)  # before the plans are asked for, a request a group: a limit that ends that loses none of them
                silent = [self._silent(place) for place in {(one.kind, one.id): one for one in (*known, *found)}.values()]
            except HostError:
                self.known.look_again(SOON)
                raise
            yield from (one for one in silent if one is not None and one.ok is False)
            there = {(one.kind, one.id) for one in known}
            yield from self._tend_all([place for place in found if (place.kind, place.id) not in there])

    def _tend_all(self, places: Sequence[Place]) -> Iterator[Diagnosis]:
        refused = 0
        for place in places:
            try:
                yield from self._tend(place)
                refused = 0
            except HostNotFound:
                self.known.drop(place)
                yield Diagnosis(f"webhook of {place.path}", _gone(place), False, f"if it is to be told of: {_connect(place)}")
            except HostForbidden:
                refused += 1
                if refused >= REFUSALS:
                    return
            except NotConfigured as error:
                yield Diagnosis(f"webhook of {place.path}", error.message, False, "set FIXWRIGHT_GITLAB_WEBHOOK_SECRET, too")

    def diagnose(self) -> Iterator[Diagnosis]:
        """How each of our hooks stands now; nothing is changed. Raises HostError."""
        places = self.known.places() or self._found_by_looking()
        if not places:
            hint = "run: fixwright gitlab connect GROUP; a token below Maintainer cannot see them"
            yield Diagnosis("webhooks", "none is known that delivers here", None, hint)
        for place in places[:SHOWN]:
            topic = f"webhook of {place.path}"
            try:
                ours = self._ours(place)
            except HostNotFound:
                yield Diagnosis(topic, _gone(place), False, f"run: {_connect(place)}")
            except HostForbidden:
                yield Diagnosis(topic, "cannot be seen with this token, whose role there is below Maintainer")
            else:
                yield self._state(topic, place, ours)
        if len(places) > SHOWN:
            yield Diagnosis("webhooks", f"{len(places) - SHOWN} more were not looked at")

    def _state(self, topic: str, place: Place, ours: Sequence[HookAnswer]) -> Diagnosis:
        hint = f"run: {_connect(place)}"
        if not ours:
            return Diagnosis(topic, "it is gone", False, hint)
        wanted = self._wanted(place)
        hook = ours[0]
        problems = [*(["there are several"] if len(ours) > 1 else []), *drift(hook, wanted)]
        if hook.switched_off:
            until = f" until {hook.disabled_until}" if hook.disabled_until and not hook.for_good else ""
            problems.insert(0, f"GitLab has switched it off{until}, because deliveries failed")
        if problems:
            return Diagnosis(topic, "; ".join(problems), False, hint)
        on = "on, deliveries are signed" if is_signed(hook, wanted) else "on, with the secret token"
        return self._silent(place, on) or Diagnosis(topic, on, True)

    def _tend(self, place: Place) -> Iterator[Diagnosis]:
        ours = self._ours(place)
        topic = f"webhook of {place.path}"
        if not ours:
            yield Diagnosis(topic, "somebody has removed it", False, f"if it is to be told of: {_connect(place)}")
            self.known.drop(place)
            return
        wanted = self._wanted(place)
        for hook in ours:
            if hook.switched_off:
                # Its secret may be what made deliveries fail.
                self._api.change(place, hook.id, repairs(hook, wanted))
                now, said = switch_on(self._api, place, proven(self._api, place, wanted, hook.id), wanted)
                yield Diagnosis(topic, said, not now.switched_off, f"can GitLab reach {self._url}? see: fixwright doctor gitlab")
            elif hook.custom_webhook_template:
                yield self._plain(place, hook)

    def _plain(self, place: Place, hook: HookAnswer) -> Diagnosis:
        """Take back a template for what is delivered, which makes it unreadable (docs "Custom webhook template")."""
        topic = f"webhook of {place.path}"
        self._api.change(place, hook.id, {"url": hook.url, TEMPLATE: ""})
        if read_back(self._api, place, hook.id).custom_webhook_template:
            said = "it has a template, with which no delivery can be read, and GitLab keeps it"
            return Diagnosis(topic, said, False, "empty the field Custom webhook template in its settings")
        return Diagnosis(topic, "it had a template, with which no delivery can be read: that is taken away", True)

    def _silent(self, place: Place, on: str = "on") -> Diagnosis | None:
        """Why GitLab may deliver nothing from a group's hook: it makes, shows and tests one also without Premium, as
        `providers.gitlab.connecting` tells. None where the plan has it. One request, none for a project's."""
        plan = self._api.plan(place) if place.kind == "group" else "none is needed"
        topic, instead = f"webhook of {place.path}", f"{_connect(place)} --projects-only"
        if place.kind == "project" or plan in PAID:
            return None
        if plan in UNTOLD:
            said = f"{on}; GitLab does not say whether it has Premium, without which nothing is delivered from a group's"
            return Diagnosis(topic, said, None, f"push once; if its Recent events show nothing: {instead}")
        if "trial" in plan:
            said = f"{on} until the trial ends ({plan}): webhooks of groups need Premium"
            return Diagnosis(topic, said, None, f"before it ends: {instead}")
        said = f"nothing is delivered from it: webhooks of groups need Premium, the plan is {plan}"
        return Diagnosis(topic, said, False, f"run: {instead}")

    def _ours(self, place: Place) -> list[HookAnswer]:
        return [hook for hook in self._api.hooks(place) if same_address(hook.url, self._url)]

    def _found_by_looking(self) -> list[Place]:
        """Places with a hook of ours, among those whose hooks we may see."""
        found: list[Place] = []
        for place in self._api.owned(MOST):
            try:
                if self._ours(place):
                    found.append(place)
            except (HostForbidden, HostNotFound):
                continue
        return found

    def _wanted(self, place: Place) -> Wanted:
        return wanted_of(place.kind, self._configuration, self._url)


def _gone(place: Place) -> str:
    if place.kind == "group":
        return "the group is gone or not shown to the token, or has no webhooks any more (they need Premium)"
    return "the project is gone, or not shown to the token"


def _connect(place: Place) -> str:
    return f"fixwright gitlab connect {place.path}"
