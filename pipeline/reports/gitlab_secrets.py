"""GitLab's secret detection report: secrets by kind, place and commit, never by value."""

from __future__ import annotations

from pipeline.gitlabreports import Kind, SecurityReportRenderer
from pipeline.model.scan import ScanType

SECRETS = Kind(
    "secret_detection", ScanType.SECRETS, "secret-detection-report-format.json", secrets=True, undone="no secrets were looked for"
)

RENDERER = SecurityReportRenderer("gitlab-secrets", SECRETS)
