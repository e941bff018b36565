"""Identifiers. All are opaque strings outside of the package that makes them."""

from __future__ import annotations

from typing import NewType

OrganizationId = NewType("OrganizationId", str)
InstallationId = NewType("InstallationId", str)
"""Ours, not the host's: the host's own number is `Installation.external_id`."""
RepositoryId = NewType("RepositoryId", str)
"""Ours, of one source repository."""
ReviewId = NewType("ReviewId", str)
BatchId = NewType("BatchId", str)
ScanId = NewType("ScanId", str)
FindingId = NewType("FindingId", str)
FixId = NewType("FixId", str)
MessageId = NewType("MessageId", str)

CommitId = NewType("CommitId", str)
"""Full object name of a git commit: 40 (SHA-1) or 64 (SHA-256) lower-case hex digits."""
BlobId = NewType("BlobId", str)
"""Full object name of a git blob."""
Handle = NewType("Handle", str)
"""What people call a finding (`K7Q`): upper case, unique in its repository, at least three characters."""
