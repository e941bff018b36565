"""Events about who may see what: projects, groups, people. Pure. They come from system hooks and from hooks of groups."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.model.event import Event, InstallationEvent, MemberEvent, RepositoryAction, RepositoryEvent
from pipeline.model.target import SourceRepository
from providers.gitlab import payloads
from providers.gitlab.reading import Reader, Reading, user_of


def _project(action: RepositoryAction) -> Reader:
    def read(reading: Reading) -> Event | None:
        event = reading.read(payloads.ProjectChanged)
        return RepositoryEvent(reading.installation(event.path_with_namespace), _changed(reading, event), action)

    return read


def _created(reading: Reading) -> Event | None:
    """It may have content at once: of an import, a template or a fork, of which no push is told."""
    event = reading.read(payloads.ProjectChanged)
    return InstallationEvent(reading.installation(event.path_with_namespace), "changed", added=(_changed(reading, event),))


def _changed(reading: Reading, event: payloads.ProjectChanged) -> SourceRepository:
    return reading.listed(event.project_id, event.path_with_namespace, private=event.project_visibility != "public")


def _group(reading: Reading) -> Event | None:
    """A group has another name, or is gone, and all its projects with it: the host is asked which ones there are now.

    Nothing is said to be removed for ever: another group can get the same path, and that is all that we know it by.
    """
    event = reading.read(payloads.GroupChanged)
    return InstallationEvent(reading.installation(event.full_path or event.path), "changed")


def _project_member(reading: Reading) -> Event | None:
    event = reading.read(payloads.ProjectMember)
    path = event.project_path_with_namespace
    repository = reading.listed(event.project_id, path, private=event.project_visibility != "public")
    return MemberEvent(reading.installation(path), user_of(event.user_id, event.user_username), repository)


READERS: Mapping[str, Reader] = {
    "project_create": _created,
    "project_destroy": _project(RepositoryAction.DELETED),
    "project_rename": _project(RepositoryAction.RENAMED),
    "project_transfer": _project(RepositoryAction.RENAMED),
    "project_update": _project(RepositoryAction.CHANGED),
    "group_rename": _group,
    "group_destroy": _group,
    "subgroup_destroy": _group,
    "user_remove_from_team": _project_member,
    "user_update_for_team": _project_member,
}
"""By `event_name`. Not `user_*_group`: of the group's path GitLab tells the last step alone, which is another group's at the top, and of
somebody's rights nothing is kept that it could end."""
