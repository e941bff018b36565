"""Who asks through the API, and what may be asked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pipeline.model.ids import OrganizationId

DEFAULT = "default"
"""Slug of the organization that is there from the first start, whose everything is that belongs to no other."""


class Scope(StrEnum):
    """What a key may do (specification 000; `admin` is ours)."""

    READ = "read"
    SCAN_WRITE = "scan:write"
    FINDING_WRITE = "finding:write"
    FIX_WRITE = "fix:write"
    PR_WRITE = "pr:write"
    ADMIN = "admin"
    """Everything else here: keys, groups of repositories, and lifting a gate."""


USUAL: tuple[Scope, ...] = (Scope.READ, Scope.SCAN_WRITE, Scope.FINDING_WRITE, Scope.FIX_WRITE, Scope.PR_WRITE)
"""What a key may do for which nobody named a scope."""


@dataclass(frozen=True, slots=True)
class Organization:
    """Whose everything is that a request sees."""

    id: OrganizationId
    slug: str
    name: str
    """Hostile text."""
    plan: str = ""
    """Empty: the default one."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a key of an organization, or a person whom its issuer vouches for."""

    organization: Organization
    id: str
    """Of the key; of a person `issuer subject`."""
    name: str
    """For people: of the key, or of the person. Hostile text."""
    prefix: str
    """What may be shown of the key; empty for a person."""
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        """Whether it has a scope; who may do everything may do that, too."""
        return scope in self.scopes or Scope.ADMIN in self.scopes
