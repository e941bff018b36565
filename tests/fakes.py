"""Stand-ins for what is slow or outside: real implementations of our ports, with simple insides."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.errors import EngineError
from pipeline.model.finding import Confidence, Finding, Location, Rule, Severity
from pipeline.model.fix import FileEdit, Patch
from pipeline.model.scan import Covered, EngineInfo, FindingSeen, Output, ScanRequest, ScanType
from pipeline.ports import Control, SourceFiles
from pipeline.triage.fingerprint import identify

BAD_LINE = Rule(
    id="fake.bad-line",
    title="A line says BAD",
    message="Anyone can see that this line says BAD.",
    severity=Severity.HIGH,
    confidence=Confidence.HIGH,
    cwe=710,
    help="Say GOOD.",
)


class LineScanner:
    """Finds every line that says BAD, instantly."""

    def __init__(self, scan_type: ScanType = ScanType.SEMGREP, before: Callable[[], None] = lambda: None) -> None:
        self.name = f"lines-{scan_type.value.split('_')[0]}"
        self.scan_type = scan_type
        self._before = before
        self.looked: list[str] = []
        """Paths that were really looked at, in order; what came from a cache is not among them."""

    def info(self, control: Control) -> EngineInfo:  # the port's signature
        """Always there."""
        return EngineInfo(self.name, "1", "000000000000")

    def concerns(self, path: str) -> bool:
        """Text."""
        return not path.endswith(".png")

    def scan(self, request: ScanRequest, control: Control) -> Iterator[Output]:
        """Line by line."""
        self._before()
        for file in request.tree.files:
            self.looked.append(file.path)
            content = (request.tree.root / file.on_disk).read_bytes()
            if self.scan_type is ScanType.SEMGREP:
                for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
                    for match in re.finditer("BAD", line):
                        where = Location(file.path, number, number, match.start() + 1, match.end() + 1)
                        yield FindingSeen(identify(Finding(BAD_LINE, where, "", self.name), content))
            yield Covered((file.path,))


class FailingScanner(LineScanner):
    """Raises what it is given, at the moment it is asked to look."""

    def __init__(self, error: Callable[[str], EngineError], scan_type: ScanType = ScanType.SEMGREP) -> None:
        super().__init__(scan_type)
        self._error = error

    def scan(self, request: ScanRequest, control: Control) -> Iterator[Output]:
        """Fails at the first look."""
        yield from ()
        raise self._error(self.name)


class GoodFixer:
    """Says GOOD where a line says BAD."""

    name = "good"

    def answers(self, rule_id: str) -> bool:
        """Only the fake rule."""
        return rule_id == BAD_LINE.id

    def fix(self, finding: Finding, files: SourceFiles) -> Patch | None:
        """Replace the word on its line."""
        before = files.read(finding.location.path)
        if before is None:
            return None
        lines = before.splitlines(keepends=True)
        lines[finding.location.line - 1] = lines[finding.location.line - 1].replace(b"BAD", b"GOOD")
        edit = FileEdit(finding.location.path, before, b"".join(lines))
        return Patch((edit,), "say GOOD", "The line says GOOD now.", self.name)


def nowhere(tmp_path: Path) -> Path:
    """A folder for engines in which there are none."""
    return tmp_path / "no-engines"
