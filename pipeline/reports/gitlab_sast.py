"""GitLab's SAST report: findings in code, never a secret."""

from __future__ import annotations

from pipeline.gitlabreports import Kind, SecurityReportRenderer
from pipeline.model.scan import ScanType

SAST = Kind("sast", ScanType.SEMGREP, "sast-report-format.json", secrets=False, undone="code was not looked at")

RENDERER = SecurityReportRenderer("gitlab-sast", SAST)
