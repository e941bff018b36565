"""Plain git repositories on a disk: a post-receive hook in, branches out; checks, threads and comments land as JSON.

A real deployment for bare git servers, the host of the demo, and the proof that the port is a port.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from pipeline.errors import NotConfigured
from pipeline.model.event import Delivery, MissedDelivery, Received
from pipeline.model.setup import Diagnosis, Upkeep
from pipeline.model.target import Installation
from pipeline.ports import Capabilities, CodeHost, Configuration, HostMemory, Setting, Setup
from pipeline.signing import sign
from providers.local import receive
from providers.local.host import CAPABILITIES, LocalHost
from providers.local.record import KEPT


class LocalProvider:
    """Repositories that were connected with `fixwright local connect`."""

    name: str = "local"
    title: str = "local git"
    capabilities: Capabilities = CAPABILITIES
    settings: tuple[Setting, ...] = (
        Setting("WEBHOOK_SECRET", "signs what the post-receive hooks deliver", secret=True, needed="receive"),
        Setting("WEBHOOK_SECRET_PREVIOUS", "still accepted while hooks are changed over", secret=True),
        Setting("RECORD", "folder where checks, threads and comments land", default="{state}/local", needed="connect", keeps=KEPT),
    )

    setup_command: str = ""
    setup: Setup | None = None

    def load(self) -> None:
        """Nothing: all of it is loaded."""

    def receive(self, delivery: Delivery, configuration: Configuration) -> Received:
        """See `Provider.receive`. Signatures are those of Standard Webhooks (webhook-id, -timestamp, -signature)."""
        return receive.receive(delivery, configuration)

    def signed(self, body: bytes, event: str, delivery: str, configuration: Configuration) -> Mapping[str, str]:
        """As a hook signs."""
        secret = configuration.get("WEBHOOK_SECRET", "")
        if not secret:
            raise NotConfigured("there is no secret to sign with", hint="set FIXWRIGHT_LOCAL_WEBHOOK_SECRET")
        now = int(time.time())
        signature = sign(secret.encode(), delivery, now, body)
        return {"webhook-id": delivery, "webhook-timestamp": str(now), "webhook-signature": signature}

    def connect(
        self,
        installation: Installation,
        configuration: Configuration,
        memory: HostMemory,
        *,
        patient: bool = False,
    ) -> CodeHost:
        """See `Provider.connect`. Nothing needs to be remembered: the disk is the host."""
        folder = configuration.get("RECORD", "")
        if not folder:
            raise NotConfigured("the local provider has no folder for its record", hint="set FIXWRIGHT_LOCAL_RECORD")
        return LocalHost(Path(folder), self.capabilities)

    def missed(self, configuration: Configuration, memory: HostMemory, since: datetime) -> Iterator[MissedDelivery]:
        """Nothing: what nobody took the hooks keep in a folder, where the web process looks by itself (`KEPT`)."""
        return iter(())

    def redeliver(self, configuration: Configuration, memory: HostMemory, delivery: MissedDelivery) -> None:
        """There is nothing to deliver again."""

    def tend(self, configuration: Configuration, memory: HostMemory, hook_url: str) -> Upkeep:
        """Nothing: no hook is switched off, and nobody signs in."""
        return Upkeep()

    def diagnose(self, configuration: Configuration, memory: HostMemory, hook_url: str) -> Iterator[Diagnosis]:
        """The secret, and a folder that can be written."""
        if not configuration.get("WEBHOOK_SECRET"):
            yield Diagnosis("webhook secret", "not set", None, "set FIXWRIGHT_LOCAL_WEBHOOK_SECRET")
            return
        yield Diagnosis("webhook secret", f"set; hooks deliver to {hook_url}", True)
        folder = Path(configuration.get("RECORD", ""))
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        writable = os.access(there, os.W_OK)
        yield Diagnosis("record", str(folder) if writable else f"{there} cannot be written", writable, "set FIXWRIGHT_LOCAL_RECORD")


PROVIDER = LocalProvider()
