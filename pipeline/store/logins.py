"""Logins of command-line clients (RFC 8628): a program shows a code, a person says yes to it, and the program is given a key."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Row, delete, func, select, update

from pipeline.errors import UsageError
from pipeline.model.account import Scope
from pipeline.model.ids import OrganizationId
from pipeline.store.columns import database_now
from pipeline.store.tables import device_logins
from pipeline.store.transaction import Transaction

LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""Of which codes consist that people type: no vowel, so no word (RFC 8628, 6.1)."""

LOGIN_SECONDS: Final = 900.0
INTERVAL: Final = 5
"""Seconds between two questions of a program; each that comes earlier makes it so many more."""

WAITING_AT_MOST: Final = 1_000
"""Logins that nobody has said yes or no to."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What a program is told."""

    device_code: str
    user_code: str


@dataclass(frozen=True, slots=True)
class Login:
    """What a person is asked about."""

    user_code: str
    client_name: str
    """Hostile text."""
    status: str


@dataclass(frozen=True, slots=True)
class Granted:
    """What a program may have now."""

    organization: OrganizationId
    client_name: str
    approved_by: str
    scopes: tuple[Scope, ...]


class Logins:
    """Logins. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def begin(self, client_name: str, secret: bytes) -> Begun | None:
        """A program wants in; None when too many wait."""
        self.purge()
        waiting = select(func.count()).select_from(device_logins).where(_pending, device_logins.c.expires_at > database_now())
        if self._transaction.execute(waiting).scalar_one() >= WAITING_AT_MOST:
            return None
        device = secrets.token_urlsafe(32)
        word = "".join(secrets.choice(LETTERS) for _ in range(8))
        row = {
            "digest": _digest(device, secret),
            "user_code": f"{word[:4]}-{word[4:]}",
            "client_name": client_name,
            "status": "pending",
            "interval": INTERVAL,
            "created_at": database_now(),
            "expires_at": database_now() + LOGIN_SECONDS,
        }
        self._transaction.add(device_logins, [row])
        return Begun(device, str(row["user_code"]))

    def waiting(self, user_code: str) -> Login | None:
        """The login that a person means, in any case and with or without the hyphen; None when nothing waits under it."""
        row = self._row(user_code)
        return None if row is None else Login(row.user_code, row.client_name, row.status)

    def approve(self, user_code: str, organization: OrganizationId, by: str, scopes: Collection[Scope]) -> None:
        """A person says yes. Raises UsageError when nothing waits under this code."""
        values = {
            "status": "approved",
            "organization_id": organization,
            "approved_by": by,
            "scopes": " ".join(s for s in Scope if s in scopes),
        }
        self._decide(user_code, values)

    def deny(self, user_code: str) -> None:
        """A person says no. Raises UsageError when nothing waits under this code."""
        self._decide(user_code, {"status": "denied"})

    def _decide(self, user_code: str, values: Mapping[str, str]) -> None:
        row = self._row(user_code)
        mine = update(device_logins).where(device_logins.c.digest == (row.digest if row is not None else ""), _pending)
        if row is None or self._transaction.changed(mine.values(values)) != 1:
            raise UsageError("nothing waits under this code", hint="ask the program for a new one: a code holds for 15 minutes")

    def _row(self, user_code: str) -> Row[tuple[str, ...]] | None:
        word = "".join(letter for letter in user_code.upper() if letter in LETTERS)
        named = (device_logins.c.user_code == f"{word[:4]}-{word[4:]}", _pending, device_logins.c.expires_at > database_now())
        return self._transaction.execute(select(device_logins).where(*named)).one_or_none()

    def poll(self, device_code: str, secret: bytes) -> Granted | str:
        """A program asks. What it is granted it is granted once.

        Returns:
            What it may have; or the error of RFC 8628, 3.5: `authorization_pending`, `slow_down`, `access_denied`, `expired_token`,
            `invalid_grant`.
        """
        digest = _digest(device_code, secret)
        too_soon = (device_logins.c.polled_at + device_logins.c.interval > database_now()).label("too_soon")
        over = (device_logins.c.expires_at <= database_now()).label("over")
        row = self._transaction.execute(select(device_logins, too_soon, over).where(device_logins.c.digest == digest)).one_or_none()
        if row is None or row.status == "used":
            return "invalid_grant"
        if row.over:
            return "expired_token"
        mine = update(device_logins).where(device_logins.c.digest == digest)
        if row.status == "denied":
            return "access_denied"
        if row.status == "approved":
            if self._transaction.changed(mine.where(device_logins.c.status == "approved").values(status="used")) != 1:
                return "invalid_grant"
            scopes = tuple(Scope(word) for word in row.scopes.split())
            return Granted(OrganizationId(row.organization_id), row.client_name, row.approved_by, scopes)
        slower = device_logins.c.interval + INTERVAL if row.too_soon else device_logins.c.interval
        self._transaction.execute(mine.values(polled_at=database_now(), interval=slower))
        return "slow_down" if row.too_soon else "authorization_pending"

    def purge(self) -> int:
        """Forget what is over since an hour; how many."""
        return self._transaction.changed(delete(device_logins).where(device_logins.c.expires_at < database_now() - 3_600.0))


_pending = device_logins.c.status == "pending"


def _digest(device_code: str, secret: bytes) -> str:
    return hmac.new(secret, b"device " + device_code.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
