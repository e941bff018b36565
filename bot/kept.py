"""Deliveries that were kept in files: by us, while the database was away, or by a host's own hook, while we were.

A host that does not deliver again (`Capabilities.redelivers`) has nobody else who remembers. What is kept was verified before; it is
verified again when it is taken, as it is read from a file.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Final

from bot.pressure import Pressure
from bot.wiring import App
from pipeline.errors import DeliveryRefused, FixwrightError, NotConfigured, StoreError, StoreUnavailable
from pipeline.messages import AcceptEvent, Envelope, arrived
from pipeline.model.event import Delivery, Received
from pipeline.ports import Configurations, Provider
from pipeline.store.intake import Intake, IntakeRow
from pipeline.store.seal import Vault
from pipeline.store.spool import Lying, Spool

log = logging.getLogger(__name__)

TRY_SECONDS: Final = 1.0
"""Between two looks whether something lies there, and whether it can be taken now."""

COMMIT_SECONDS: Final = 30.0
"""Longest wait for one commit; the writer answers long before."""


def folders(providers: Mapping[str, Provider], configurations: Configurations) -> list[Path]:
    """Where hooks of the hosts keep what they could not deliver (`Setting.keeps`). Raises StoreError."""
    found = []
    for name, provider in providers.items():
        configuration = configurations.of(name, "")
        found += [Path(configuration[s.name]) / s.keeps for s in provider.settings if s.keeps and configuration.get(s.name)]
    return found


def entry(delivery: Delivery, received: Received) -> tuple[IntakeRow, tuple[Envelope, ...]]:
    """A verified delivery as it is written to the database, with the message that it begins with."""
    provider, instance, identity = delivery.provider, delivery.instance, received.delivery_id
    if received.event is None:
        return IntakeRow(provider, instance, identity, received.name, b"", "ignored"), ()
    accept, key = AcceptEvent(identity, received.event), f"accept:{provider}:{instance}:{identity}"
    envelope = Envelope(accept, key, priority=arrived(received.event), group=f"accept:{identity}")
    return IntakeRow(provider, instance, identity, received.name, delivery.body), (envelope,)


def spools(app: App) -> list[Spool]:
    """Every folder with such files, for a look. What a store that is away would add is left out."""
    most = int(app.settings.spool_mb * 1e6)
    try:
        others = folders(app.plugins.providers, app.places.configurations)
    except StoreError:
        others = []
    return [Spool(folder, most) for folder in (app.settings.spool_dir, *others)]


class Kept:
    """Takes what lies in files when the database takes deliveries: in order, and each once, as its key is the delivery's own.

    Args:
        own: where this process keeps what it received.
        max_bytes: how much may lie in one folder.
        vault: seals what this process keeps; hooks have no key of ours.
    """

    def __init__(
        self,
        own: Path,
        max_bytes: int,
        providers: Mapping[str, Provider],
        configurations: Configurations,
        intake: Intake,
        pressure: Pressure,
        vault: Vault | None = None,
    ) -> None:
        self._spool, self._max_bytes = Spool(own, max_bytes, vault=vault), max_bytes
        self._providers, self._configurations = providers, configurations
        self._intake, self._pressure = intake, pressure
        self._others: dict[Path, Spool] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._away = False

    def keep(self, delivery: Delivery) -> None:
        """Write a verified delivery to the disk. Raises StoreUnavailable when there is no room for it."""
        self._spool.keep(delivery)

    def lying(self) -> Lying:
        """What this web process's folder holds."""
        return self._spool.lying()

    def start(self) -> None:
        """Take what lies there from now on, in a thread."""
        self._thread = threading.Thread(target=self._run, name="kept", daemon=True)
        self._thread.start()

    def stop(self, seconds: float = 5.0) -> None:
        """Take nothing more; what lies there stays for the next process. Before `Intake.stop`."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(seconds)
        self._spool.close()

    def drain(self) -> int:
        """Take everything now; how many deliveries that were. Raises StoreError, DeliveryPutOff: the rest stays."""
        if not self._spools_lie():
            return 0
        self._pressure.check()
        taken = self._spool.drain(self._take) + sum(spool.drain(self._take) for spool in self._others.values())
        if taken:
            log.warning("delivery.taken_late", extra={"deliveries": taken})
        return taken

    # --- inside ---

    def _spools_lie(self) -> bool:
        for folder in folders(self._providers, self._configurations):
            self._others.setdefault(folder, Spool(folder, self._max_bytes))
        return any(spool.lying().segments for spool in (self._spool, *self._others.values()))

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.drain()
                self._away = False
            except FixwrightError as error:
                if not self._away:
                    log.warning("delivery.kept_longer", extra={"code": error.code, "error": error.message})
                self._away = True
            except OSError as error:
                log.error("spool.fault", extra={"error": error.strerror or type(error).__name__})
            except Exception:  # the boundary of what is kept (docs/decisions/0003-boundaries.md): nobody else would take it
                log.exception("delivery.kept_fault")
            self._stop.wait(TRY_SECONDS)

    def _take(self, deliveries: Sequence[Delivery]) -> list[bool]:
        """See `pipeline.store.spool.Take`."""
        waiting = [self._submit(delivery) for delivery in deliveries]
        return [future is not None and self._committed(future) for future in waiting]

    def _submit(self, delivery: Delivery) -> Future[bool] | None:
        """On its way to the database; None for what is no delivery of ours (any more: the secret may have changed or gone since)."""
        provider = self._providers.get(delivery.provider)
        if provider is None or self._stop.is_set():
            if provider is None:
                log.error("delivery.kept_refused", extra={"provider": delivery.provider, "code": "NOT_FOUND"})
                return None
            raise StoreUnavailable("the web process is ending")
        try:
            received = provider.receive(delivery, self._configurations.of(delivery.provider, delivery.instance))
        except (DeliveryRefused, NotConfigured) as error:
            log.error("delivery.kept_refused", extra={"provider": delivery.provider, "code": error.code, "error": error.message})
            return None
        return self._intake.submit(*entry(delivery, received))

    def _committed(self, future: Future[bool]) -> bool:
        """True when it is in the database, new or known. Raises StoreUnavailable: try again later."""
        try:
            future.result(COMMIT_SECONDS)
        except StoreUnavailable:
            raise
        except StoreError:
            return False
        except TimeoutError:
            raise StoreUnavailable("the database does not answer") from None
        return True
