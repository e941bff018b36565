"""Events about who may see what: installations, repositories, people. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.model.event import Event, InstallationEvent, MemberEvent, RepositoryAction, RepositoryEvent
from providers.github import payloads
from providers.github.reading import Reader, Reading, user_of


def _installation(reading: Reading) -> Event | None:
    event = reading.read(payloads.Installation)
    repositories = reading.listed(event.repositories, event.installation.id)
    installation = reading.installation(event.installation.id, event.installation.account.name)
    match reading.action:
        case "created":
            return InstallationEvent(installation, "created", added=repositories)
        case "deleted":
            return InstallationEvent(installation, "deleted", removed=repositories)
        case "suspend":
            return InstallationEvent(installation, "suspended")
        case "unsuspend":
            return InstallationEvent(installation, "unsuspended")
        case _:
            return InstallationEvent(installation, "changed")


def _installation_repositories(reading: Reading) -> Event | None:
    event = reading.read(payloads.InstallationRepositories)
    number = event.installation.id
    return InstallationEvent(
        reading.installation(number, event.installation.account.name),
        "changed",
        added=reading.listed(event.repositories_added, number),
        removed=reading.listed(event.repositories_removed, number),
    )


def _account_renamed(reading: Reading) -> Event | None:
    """The account has another name, and all its repositories with it: the host is asked for them."""
    event = reading.read(payloads.InstallationTarget)
    return InstallationEvent(reading.installation(event.installation.id, event.account.name), "changed")


def _repository(action: RepositoryAction) -> Reader:
    def read(reading: Reading) -> Event | None:
        event = reading.read(payloads.RepositoryChanged)
        if action is RepositoryAction.CHANGED and (event.changes is None or event.changes.default_branch is None):
            return None  # a new description, homepage or topic changes no verdict
        return RepositoryEvent(reading.of(event), reading.repository(event), action)

    return read


def _member(reading: Reading) -> Event | None:
    event = reading.read(payloads.Member)
    return MemberEvent(reading.of(event), user_of(event.member), reading.repository(event))


def _organization_member(reading: Reading) -> Event | None:
    event = reading.read(payloads.OrganizationMember)
    installation = reading.installation(event.installation.id, event.organization.name)
    return MemberEvent(installation, user_of(event.membership.user))


def _team_member(reading: Reading) -> Event | None:
    event = reading.read(payloads.TeamMember)
    if event.member is None:
        return None  # the account was deleted
    return MemberEvent(reading.installation(event.installation.id, event.organization.name), user_of(event.member))


READERS: Mapping[str, Reader] = {
    "installation.created": _installation,
    "installation.deleted": _installation,
    "installation.suspend": _installation,
    "installation.unsuspend": _installation,
    "installation.new_permissions_accepted": _installation,
    "installation_repositories.added": _installation_repositories,
    "installation_repositories.removed": _installation_repositories,
    "installation_target.renamed": _account_renamed,
    "repository.renamed": _repository(RepositoryAction.RENAMED),
    "repository.transferred": _repository(RepositoryAction.RENAMED),
    "repository.edited": _repository(RepositoryAction.CHANGED),
    "repository.archived": _repository(RepositoryAction.ARCHIVED),
    "repository.unarchived": _repository(RepositoryAction.UNARCHIVED),
    "repository.deleted": _repository(RepositoryAction.DELETED),
    "repository.privatized": _repository(RepositoryAction.PRIVATIZED),
    "repository.publicized": _repository(RepositoryAction.PUBLICIZED),
    "member.removed": _member,
    "member.edited": _member,
    "organization.member_removed": _organization_member,
    "membership.removed": _team_member,
}
"""By `event.action`."""
