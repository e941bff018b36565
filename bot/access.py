"""Who asks: the credential of a request becomes a `Principal`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bot.oidc import Issuer
from bot.settings import Settings
from pipeline.model.account import Principal
from pipeline.store.engine import Database
from pipeline.store.keys import PREFIX

LONGEST: Final = 8_192
"""Characters of a credential that is looked at."""


def key_secret(settings: Settings) -> bytes:
    """What digests of keys are made with. Raises NotConfigured."""
    return settings.subkey("api keys")


def credential(headers: Mapping[str, str]) -> str:
    """What a request shows: `Authorization: Bearer ...`, or `X-API-Key`; empty when nothing, or something of another kind."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    found = value.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "").strip()
    return found if len(found) <= LONGEST and found.isascii() else ""


def person(database: Database, issuer: Issuer, shown: str) -> Principal | None:
    """Whom an issuer vouches for; None when it does not, or names no organization that is here. Where its tokens name none, people are in
    the only organization that there is."""
    claims = issuer.claims(shown) if shown.count(".") == 2 else None
    if claims is None:
        return None
    with database.read() as work:
        known = work.organizations.all()
        slug = claims.organization or (known[0].slug if len(known) == 1 else "")
        if slug not in {one.slug for one in known}:
            return None
        organization = work.organizations.named(slug)
    return Principal(organization, f"{issuer.address} {claims.subject}", claims.name or claims.subject, "", claims.scopes)


def holder(database: Database, secret: bytes, shown: str) -> Principal | None:
    """Who holds a key; None when it opens nothing. Notes now and then that it is used."""
    if not shown.startswith(PREFIX):
        return None
    with database.read() as work:
        principal = work.keys.holder(shown, secret)
        note = principal is not None and work.keys.unused(principal.id)
    if principal is not None and note:
        with database.work() as work:
            work.keys.used(principal.id)
    return principal
