"""Keys of organizations for the API. A key is shown once; what is kept is a keyed hash of it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, and_, func, or_, select, update

from pipeline.errors import StaleWrite
from pipeline.model.account import USUAL, Organization, Principal, Scope
from pipeline.model.ids import OrganizationId
from pipeline.store.columns import database_now
from pipeline.store.identifiers import new_id
from pipeline.store.tables import api_keys, organizations
from pipeline.store.transaction import Transaction

PREFIX: Final = "fxw_live_"
"""How every key begins, so that whoever finds one somewhere knows what it is."""

SHOWN: Final = len(PREFIX) + 4
"""Characters of a key that may be shown."""

NAME_AT_MOST: Final = 100
"""Characters of a name (specification 000)."""

USED_SECONDS: Final = 60.0
"""How exactly the last use is known: not every request is worth a write."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it may be shown. Moments are seconds since 1970."""

    id: str
    organization: str
    """Slug."""
    name: str
    prefix: str
    scopes: tuple[Scope, ...]
    created_at: float
    created_by: str
    expires_at: float | None
    last_used_at: float | None
    revoked_at: float | None
    expired: bool

    @property
    def state(self) -> str:
        """`active`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expired else "active"


def digest_of(key: str, secret: bytes) -> str:
    """What is kept of a key: HMAC-SHA256 under `secret`, hex."""
    return hmac.new(secret, key.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


class Keys:
    """Keys. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def create(
        self,
        organization: OrganizationId,
        name: str,
        secret: bytes,
        *,
        scopes: Collection[Scope] = (),
        expires_in: float | None = None,
        created_by: str = "",
    ) -> tuple[str, str]:
        """A new key.

        Args:
            name: for people, 1 to 100 characters; several may have the same.
            secret: what digests are made with.
            scopes: empty: all but admin.
            expires_in: seconds; None: it holds until it is revoked.
            created_by: login or name of who asked for it; empty when nobody is known.

        Returns:
            Its id, and the key itself, which nobody can show again.
        """
        key = PREFIX + secrets.token_urlsafe(32)
        row = {
            "id": new_id(),
            "organization_id": organization,
            "name": name[:NAME_AT_MOST],
            "prefix": key[:SHOWN],
            "digest": digest_of(key, secret),
            "scopes": " ".join(scope for scope in Scope if scope in (scopes or USUAL)),
            "created_by": created_by,
            "created_at": database_now(),
            "expires_at": None if expires_in is None else database_now() + expires_in,
        }
        self._transaction.add(api_keys, [row])
        return str(row["id"]), key

    def holder(self, key: str, secret: bytes) -> Principal | None:
        """Who has this key; None when nobody does, or does not any more. It is looked up by its digest, which says nothing of how near a
        guess was."""
        digest = digest_of(key, secret)
        row = self._transaction.execute(_selected().where(api_keys.c.digest == digest, _holds())).one_or_none()
        if row is None or not hmac.compare_digest(row.digest, digest):
            return None
        organization = Organization(OrganizationId(row.organization_id), row.slug, row.organization_name, row.plan)
        return Principal(organization, row.id, row.name, row.prefix, frozenset(Scope(word) for word in row.scopes.split()))

    def used(self, identifier: str) -> None:
        """It was used just now; written at most once in USED_SECONDS."""
        stale = or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at < database_now() - USED_SECONDS)
        self._transaction.execute(update(api_keys).where(api_keys.c.id == identifier, stale).values(last_used_at=database_now()))

    def unused(self, identifier: str) -> bool:
        """True when `used` would write."""
        stale = or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at < database_now() - USED_SECONDS)
        return self._transaction.execute(select(api_keys.c.id).where(api_keys.c.id == identifier, stale)).first() is not None

    def all(self, organization: OrganizationId | None = None) -> list[ApiKey]:
        """Every key, of one organization or of all, the newest first."""
        statement = _selected().order_by(api_keys.c.id.desc())
        if organization is not None:
            statement = statement.where(api_keys.c.organization_id == organization)
        return [_to_key(row) for row in self._transaction.execute(statement)]

    def get(self, identifier: str, organization: OrganizationId | None = None) -> ApiKey:
        """One of them. Raises StaleWrite when there is none, or not in this organization."""
        return _to_key(self._transaction.one(_selected().where(_mine(identifier, organization)), "there is no such key"))

    def revoke(self, identifier: str, by: str, organization: OrganizationId | None = None) -> bool:
        """It opens nothing any more. False when that was so before.

        Raises:
            StaleWrite: there is no such key, or not in this organization.
        """
        self.get(identifier, organization)
        own = update(api_keys).where(api_keys.c.id == identifier, api_keys.c.revoked_at.is_(None))
        return self._transaction.changed(own.values(revoked_at=database_now(), revoked_by=by)) == 1

    def rotate(
        self, identifier: str, secret: bytes, overlap: float, by: str, organization: OrganizationId | None = None
    ) -> tuple[str, str]:
        """A new key with the name and scopes of an old one, which holds for `overlap` seconds more. As `create`.

        Raises:
            StaleWrite: there is no such key that holds.
        """
        old = self._transaction.one(_selected().where(_mine(identifier, organization), _holds()), "there is no such key that is active")
        mine = update(api_keys).where(api_keys.c.id == identifier, api_keys.c.rotated_to == "", _holds())
        until = database_now() + overlap
        if old.rotated_to:
            raise StaleWrite("this key has been rotated already")
        scopes = [Scope(word) for word in old.scopes.split()]
        left = None if old.expires_at is None or old.lifetime is None else float(old.lifetime)
        made, key = self.create(OrganizationId(old.organization_id), old.name, secret, scopes=scopes, expires_in=left, created_by=by)
        sooner = until if old.expires_at is None else func.min(api_keys.c.expires_at, until)
        if self._transaction.dialect == "postgresql" and old.expires_at is not None:
            sooner = func.least(api_keys.c.expires_at, until)
        if self._transaction.changed(mine.values(rotated_to=made, expires_at=sooner)) != 1:
            raise StaleWrite("this key has been rotated already")
        return made, key


def _selected() -> Select[Any]:
    columns = list(api_keys.c)
    expired = and_(api_keys.c.expires_at.is_not(None), api_keys.c.expires_at <= database_now())
    more = (
        organizations.c.slug,
        organizations.c.name.label("organization_name"),
        organizations.c.plan,
        expired.label("expired"),
        (api_keys.c.expires_at - api_keys.c.created_at).label("lifetime"),
    )
    return select(*columns, *more).select_from(api_keys.join(organizations, api_keys.c.organization_id == organizations.c.id))


def _holds() -> ColumnElement[bool]:
    return and_(api_keys.c.revoked_at.is_(None), or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > database_now()))


def _mine(identifier: str, organization: OrganizationId | None) -> ColumnElement[bool]:
    named = api_keys.c.id == (identifier if identifier.isalnum() and identifier.isascii() else "")
    return named if organization is None else and_(named, api_keys.c.organization_id == organization)


def _to_key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        id=row.id,
        organization=row.slug,
        name=row.name,
        prefix=row.prefix,
        scopes=tuple(Scope(word) for word in row.scopes.split()),
        created_at=row.created_at,
        created_by=row.created_by,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
        expired=bool(row.expired),
    )
