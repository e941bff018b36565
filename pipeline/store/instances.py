"""Instances of providers that setup has made: their settings, sealed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import delete, select

from pipeline.store.columns import database_now
from pipeline.store.identifiers import new_id
from pipeline.store.seal import Seal
from pipeline.store.tables import instances
from pipeline.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """One instance of a provider, as setup stored it."""

    provider: str
    instance: str
    """The name in `/webhooks/{provider}/{instance}`; empty for the default one."""
    settings: Mapping[str, str] | None = field(repr=False)
    """None when they cannot be opened: they were sealed with another FIXWRIGHT_SECRET_KEY."""


class Instances:
    """Settings of instances. Part of a `Work`. The key stays with the caller: a transaction has no business with it."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def save(self, seal: Seal, provider: str, instance: str, settings: Mapping[str, str]) -> None:
        """Store the settings of an instance, in the place of older ones."""
        sealed = seal.seal(_name(provider, instance), json.dumps(dict(settings)).encode())
        row = {
            "id": new_id(),
            "provider": provider,
            "instance": instance,
            "settings": sealed,
            "created_at": database_now(),
            "updated_at": database_now(),
        }
        self._transaction.upsert(instances, [row], ["provider", "instance"], ["settings", "updated_at"])

    def all(self, seal: Seal) -> list[StoredInstance]:
        """Every stored instance, sorted by provider and name."""
        statement = select(instances.c.provider, instances.c.instance, instances.c.settings)
        rows = self._transaction.execute(statement.order_by(instances.c.provider, instances.c.instance))
        return [
            StoredInstance(row.provider, row.instance, _opened(seal.unseal(_name(row.provider, row.instance), row.settings)))
            for row in rows
        ]

    def remove(self, provider: str, instance: str) -> bool:
        """Forget an instance and its secrets. False when there was none."""
        statement = delete(instances).where(instances.c.provider == provider, instances.c.instance == instance)
        return self._transaction.changed(statement) == 1


def _name(provider: str, instance: str) -> str:
    """What the settings are sealed under: those of one instance do not open as another's."""
    return f"instance\0{provider}\0{instance}"


def _opened(value: bytes | None) -> Mapping[str, str] | None:
    if value is None:
        return None
    return {str(name): str(text) for name, text in json.loads(value).items()}
