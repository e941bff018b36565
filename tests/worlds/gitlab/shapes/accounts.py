"""Users and groups (REST: "Users API", "Groups API", "Namespaces API")."""

from __future__ import annotations

import hashlib

from tests.worlds.gitlab.model import Json, Namespace, User
from tests.worlds.gitlab.shapes.base import Places, moment, perhaps


class Accounts(Places):
    """JSON of users, groups and namespaces."""

    def user(self, user: User) -> Json:
        """The short form that stands in everything."""
        return {
            "id": user.id,
            "username": user.username,
            "public_email": "",
            "name": user.name,
            "state": user.state,
            "locked": False,
            "avatar_url": self.avatar(user),
            "web_url": self.of_user(user),
        }

    def avatar(self, user: User) -> str:
        """A picture."""
        return f"https://www.gravatar.com/avatar/{hashlib.sha256(user.email.encode()).hexdigest()}?s=80&d=identicon"

    def public_user(self, user: User) -> Json:
        """As everybody sees it."""
        names = ("bio", "location", "skype", "linkedin", "twitter", "discord", "website_url", "github", "organization", "job_title")
        texts = dict.fromkeys((*names, "work_information"), "")
        return {
            **self.user(user),
            **texts,
            "created_at": moment(user.created_at),
            "pronouns": None,
            "bot": user.bot,
            "followers": 0,
            "following": 0,
            "is_followed": False,
            "local_time": None,
        }

    def current_user(self, user: User, last: str | None = None) -> Json:
        """As it sees itself."""
        whole = self.public_user(user) | {
            "last_sign_in_at": None if user.bot else moment(user.created_at),
            "confirmed_at": moment(user.created_at),
            "last_activity_on": last,
            "email": user.email,
            "theme_id": 3,
            "color_scheme_id": 1,
            "projects_limit": 100_000,
            "current_sign_in_at": perhaps(None),
            "identities": [],
            "can_create_group": not user.bot,
            "can_create_project": not user.bot,
            "two_factor_enabled": False,
            "external": False,
            "private_profile": False,
            "commit_email": user.email,
        }
        return whole | ({"is_admin": True} if user.admin else {})

    def namespace(self, namespace: Namespace) -> Json:
        """The short form that stands in projects."""
        return {
            "id": namespace.id,
            "name": namespace.name,
            "path": namespace.path,
            "kind": namespace.kind,
            "full_path": namespace.full_path,
            "parent_id": namespace.parent.id if namespace.parent else None,
            "avatar_url": self.avatar(namespace.owner) if namespace.owner else None,
            "web_url": self.of_namespace(namespace),
        }

    def group(self, group: Namespace) -> Json:
        """A group, alone or in a list."""
        return {
            "id": group.id,
            "web_url": self.of_namespace(group),
            "name": group.name,
            "path": group.path,
            "description": "",
            "visibility": group.visibility,
            "share_with_group_lock": False,
            "require_two_factor_authentication": False,
            "two_factor_grace_period": 48,
            "project_creation_level": "developer",
            "auto_devops_enabled": None,
            "subgroup_creation_level": "maintainer",
            "emails_disabled": False,
            "emails_enabled": True,
            "mentions_disabled": None,
            "lfs_enabled": True,
            "archived": False,
            "default_branch": None,
            "avatar_url": None,
            "request_access_enabled": True,
            "full_name": group.full_name,
            "full_path": group.full_path,
            "created_at": moment(group.created_at),
            "parent_id": group.parent.id if group.parent else None,
            "organization_id": 1,
            "marked_for_deletion_on": None,
        }
