"""A host that differs from the local one in its `Capabilities`, to see what the stages make of them before any network is in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.model.target import Installation, PullRequest, PullRequestRef, SourceRepository
from pipeline.ports import Capabilities, CodeHost, Configuration, HostMemory
from providers.local import LocalProvider
from providers.local.host import CAPABILITIES, LocalHost
from providers.local.record import RepositoryRecord
from tests.harness import Bench

MEMBERS = "for members: "
"""Before the topic of a comment that only members read."""


class OtherHost(LocalHost):
    """Comments for members, and drafts."""

    draft = False
    all: tuple[SourceRepository, ...] = ()

    def repositories(self) -> Sequence[SourceRepository]:
        """Those that the test says."""
        return self.all

    def ensure_comment(self, ref: PullRequestRef, topic: str, body: str, *, internal: bool = False) -> None:
        """As the local one, with a mark of who reads it."""
        assert not internal or self.capabilities.internal_comments
        super().ensure_comment(ref, f"{MEMBERS}{topic}" if internal else topic, body)

    def pull_request(self, ref: PullRequestRef) -> PullRequest:
        """A draft while the test says so."""
        return replace(super().pull_request(ref), draft=self.draft)


class OtherProvider(LocalProvider):
    """Repositories on the disk, on a host with other capabilities."""

    def __init__(self, **differences: Any) -> None:  # Any: fields of Capabilities
        self.capabilities: Capabilities = replace(CAPABILITIES, **differences)
        self.draft = False
        self.all: tuple[SourceRepository, ...] = ()

    def connect(self, installation: Installation, configuration: Configuration, memory: HostMemory, *, patient: bool = False) -> CodeHost:
        """See `LocalProvider.connect`."""
        super().connect(installation, configuration, memory, patient=patient)
        made = OtherHost(Path(configuration["RECORD"]), self.capabilities)
        made.draft, made.all = self.draft, self.all
        return made


def elsewhere(bench: Bench, **differences: Any) -> OtherProvider:
    """Let the bench's repositories lie on a host with these capabilities instead."""
    provider = OtherProvider(**differences)
    bench.app.plugins = replace(bench.app.plugins, providers={"local": provider})
    return provider


def comments(bench: Bench, ref: PullRequestRef) -> Mapping[str, str]:
    """Our comments by their topics; empty ones are shown to nobody."""
    said = RepositoryRecord(bench.state / "local", ref.repository.external_id).conversation(ref.number)
    return {comment.topic: comment.body for comment in said.comments if comment.topic and comment.body}
