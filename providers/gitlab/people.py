"""Accounts: what somebody may do in a project, and whose commits a merge request holds.

Sources: docs "Members API" (`members/all/:user_id`: also who is a member of a group above, or was invited with one), "Roles and
permissions", "Users API" (a search for an address finds the account that shows it), "Commit email" (the private address of an account).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date

from pipeline.errors import HostForbidden, HostNotFound
from pipeline.model.target import Permission, PullRequestRef, SourceRepository, UserRef
from pipeline.payloads import Number
from providers.gitlab.api import Api
from providers.gitlab.client import Answer
from providers.gitlab.payloads import Login
from providers.gitlab.projects import DEVELOPER, read

GUEST, MAINTAINER = 10, 40
"""Access levels (docs "Members API", "Roles"). Between them lie Planner (15), Reporter (20) and Developer (30); 5 is Minimal Access."""
SEARCHED = 20
"""So many addresses of a merge request are looked up at most; each costs a request."""
_BOT = re.compile(r"(?:project|group)_[0-9]+_bot(?:_?[0-9a-f]+)?\Z|service_account_", re.IGNORECASE)
_PUSHED = re.compile(r"added (?:\d+|one) (?:new )?commits?\b", re.IGNORECASE)
"""What GitLab notes in the name of whoever pushed to a merge request."""


class Person(Answer):
    """An account as it stands in other answers."""

    id: Number
    username: Login
    state: str = "active"
    bot: bool = False

    def ref(self) -> UserRef:
        """In the domain's words."""
        return UserRef(str(self.id), self.username, bot=self.bot or is_bot(self.username))


class _Member(Person):
    access_level: int = 0
    expires_at: date | None = None
    membership_state: str = "active"

    def counts(self, today: date) -> bool:
        """False for who is blocked, was asked and has not come, or whose time is over (docs "Members API": the day itself is over)."""
        valid = self.expires_at is None or self.expires_at > today
        return valid and self.state == "active" and self.membership_state == "active"


class _Commit(Answer):
    author_email: str | None = None
    committer_email: str | None = None


class _Note(Answer):
    author: Person | None = None
    body: str = ""
    system: bool = False


def is_bot(username: str) -> bool:
    """True for the accounts that GitLab makes for tokens of projects and groups, and for service accounts."""
    return bool(_BOT.match(username))


def permission(api: Api, repository: SourceRepository, user: UserRef) -> Permission:
    """What that very account may do, asked now. NONE for who is blocked or unknown; READ for everybody where everybody reads."""
    if not user.id.isascii() or not user.id.isdecimal() or len(user.id) > 19:
        return Permission.NONE
    number = int(user.id)
    try:
        member = api.get(repository, lambda project: project.members_all.get(number), _Member, what="a member")
    except HostNotFound:
        return _of_strangers(api, repository, number)
    if member.id != number or member.state != "active":
        return Permission.NONE
    if not member.counts(api.today()):
        return _of_strangers(api, repository, number)
    if member.access_level >= MAINTAINER:
        return Permission.ADMIN
    if member.access_level >= DEVELOPER:
        return Permission.WRITE
    return Permission.READ if member.access_level >= GUEST else _of_strangers(api, repository, number)


def authors(api: Api, ref: PullRequestRef) -> Sequence[UserRef]:
    """Who wrote, committed or pushed its commits, as far as GitLab tells.

    Its commits name addresses only. An account is known by the private address that GitLab gave it, by an address that it shows, and by
    GitLab's own note of who pushed.
    """
    found: dict[int, UserRef] = {}
    for person in (*_pushers(api, ref), *_by_address(api, _addresses(api, ref))):
        found.setdefault(person.id, person.ref())
    return tuple(found.values())


def _of_strangers(api: Api, repository: SourceRepository, number: int) -> Permission:
    """What a known account may do that is no member."""
    try:
        if not read(api, repository).open_to_all:
            return Permission.NONE
        user = api.ask(lambda gl: gl.users.get(number), Person, what="a user")
    except (HostNotFound, HostForbidden):
        return Permission.NONE
    return Permission.READ if user.state == "active" else Permission.NONE


def _pushers(api: Api, ref: PullRequestRef) -> list[Person]:
    notes = api.pages(
        ref.repository,
        lambda project: project.mergerequests.get(ref.number, lazy=True).notes.list(
            iterator=True, activity_filter="only_activity", order_by="created_at", sort="asc"
        ),
        _Note,
        what=f"notes of merge request {ref.number}",
    )
    return [note.author for note in notes if note.system and note.author is not None and _PUSHED.match(note.body)]


def _addresses(api: Api, ref: PullRequestRef) -> list[str]:
    commits = api.pages(
        ref.repository,
        lambda project: project.mergerequests.get(ref.number, lazy=True).commits(),
        _Commit,
        what=f"commits of merge request {ref.number}",
    )
    named = (address for commit in commits for address in (commit.author_email, commit.committer_email))
    return list(dict.fromkeys(address.lower() for address in named if address and "@" in address and len(address) <= 320))


def _by_address(api: Api, addresses: Iterable[str]) -> list[Person]:
    found: list[Person] = []
    asked = 0
    for address in addresses:
        private = re.match(rf"(\d{{1,18}})-([a-z0-9_.-]{{1,255}})@users\.noreply\.{re.escape(api.site.host)}\Z", address)
        if private:
            found.append(Person(id=int(private[1]), username=private[2]))
        elif asked < SEARCHED:
            asked += 1
            found.extend(_shown(api, address))
    return found


def _shown(api: Api, address: str) -> list[Person]:
    """The accounts that GitLab finds for an address. A token that may not search finds nobody."""
    try:
        return api.ask_all(lambda gl: gl.users.list(iterator=True, search=address), Person, what="the account of an address", most=10)
    except (HostForbidden, HostNotFound):
        return []
