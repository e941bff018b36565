"""The unit of work: one transaction over all aggregates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from pipeline.store.asked import Asked
from pipeline.store.attributed import Attributed
from pipeline.store.batches import Batches
from pipeline.store.cache import Cache
from pipeline.store.counters import Counters
from pipeline.store.decisions import Decisions
from pipeline.store.deliveries import Deliveries
from pipeline.store.effects import Effects
from pipeline.store.eventlog import EventLog
from pipeline.store.findingcounts import FindingCounts
from pipeline.store.findings import Findings
from pipeline.store.fixes import Fixes
from pipeline.store.fixlists import FixLists
from pipeline.store.groups import Groups
from pipeline.store.heads import Heads
from pipeline.store.installations import Installations
from pipeline.store.instances import Instances
from pipeline.store.keys import Keys
from pipeline.store.listing import Listing
from pipeline.store.logins import Logins
from pipeline.store.marks import Marks
from pipeline.store.offers import Offers
from pipeline.store.organizations import Organizations
from pipeline.store.outbox import Outbox
from pipeline.store.outcomes import RuleOutcomes
from pipeline.store.overview import Overview
from pipeline.store.policies import Policies
from pipeline.store.processes import Processes
from pipeline.store.proposals import Proposals
from pipeline.store.publishing import Publishing
from pipeline.store.purge import Purge
from pipeline.store.quotas import Quotas
from pipeline.store.repeated import RepeatedAnswers
from pipeline.store.repositories import Repositories
from pipeline.store.retention import Retention
from pipeline.store.reviews import Reviews
from pipeline.store.seal import Vault
from pipeline.store.transaction import Transaction
from pipeline.store.waivers import Waivers


class Work:
    """Everything that is written here becomes true together, or not at all. Made by `Database.work`, used in one thread."""

    def __init__(self, connection: Connection, vault: Vault | None = None) -> None:
        self.transaction = Transaction(connection, vault)
        self.outbox = Outbox(self.transaction)
        self.publishing = Publishing(self.transaction)
        self.deliveries = Deliveries(self.transaction)
        self.installations = Installations(self.transaction)
        self.instances = Instances(self.transaction)
        self.reviews = Reviews(self.transaction, self.installations)
        self.asked = Asked(self.transaction)
        self.attributed = Attributed(self.transaction)
        self.batches = Batches(self.transaction)
        self.heads = Heads(self.transaction)
        self.findings = Findings(self.transaction)
        self.events = EventLog(self.transaction)
        self.rule_outcomes = RuleOutcomes(self.transaction)
        self.finding_counts = FindingCounts(self.transaction)
        self.decisions = Decisions(self.transaction)
        self.listing = Listing(self.transaction)
        self.fixes = Fixes(self.transaction)
        self.fix_lists = FixLists(self.transaction)
        self.offers = Offers(self.transaction)
        self.marks = Marks(self.transaction)
        self.waivers = Waivers(self.transaction)
        self.cache = Cache(self.transaction)
        self.policies = Policies(self.transaction)
        self.counters = Counters(self.transaction)
        self.overview = Overview(self.transaction)
        self.processes = Processes(self.transaction)
        self.organizations = Organizations(self.transaction)
        self.keys = Keys(self.transaction)
        self.logins = Logins(self.transaction)
        self.groups = Groups(self.transaction)
        self.quotas = Quotas(self.transaction)
        self.repeated = RepeatedAnswers(self.transaction)
        self.repositories = Repositories(self.transaction)
        self.purge = Purge(self.transaction)
        self.retention = Retention(self.transaction)
        self.effects = Effects(self.transaction, self.installations)
        self.proposals = Proposals(self.transaction, self.effects)

    def tidy(self) -> int:
        """Forget what is kept for a time only: done messages, old deliveries, unused results. Call it now and then; how many rows."""
        return self.outbox.purge() + self.deliveries.purge() + self.cache.trim() + self.repeated.purge() + self.logins.purge()

    @contextmanager
    def apart(self) -> Iterator[None]:
        """A part that may fail on its own: when it raises, only what it wrote is undone."""
        with self.transaction.connection.begin_nested():
            yield

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` once after this transaction was committed; never when it was not."""
        self.transaction.after_commit.append(callback)
