"""Secrets in source, found by betterleaks and judged by us (`pipeline.triage.secrets`).

The engine is shown copies under names of ours in one flat folder, because its rules leave out whole kinds of names (`node_modules/`, lock
files, `.svg`), and a change chooses its names. Allow markers, ignore files and configuration of the tree have no effect; nothing is ever
validated against a live service. That it looked at every byte is checked: it says how many it read.

A value stays inside this module: it leaves only as keyed hashes (`pipeline.leaks`), and as four characters at most.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ValidationError

from pipeline import engines
from pipeline.errors import EngineCrashed, EngineGarbage, EngineOutOfMemory, EngineTimedOut
from pipeline.leaks import marker_of
from pipeline.model.finding import Finding, Location, Rule, Secret
from pipeline.model.scan import Covered, EngineInfo, FindingSeen, Gap, GapClass, GapSeen, Output, Progress, ScanRequest, ScanType, TreeFile
from pipeline.ports import Control
from pipeline.sandbox.process import Finished, Limits, run_isolated
from pipeline.sandbox.tree import private_folder
from pipeline.triage import places
from pipeline.triage import secrets as triage
from pipeline.triage.fingerprint import identify_secret

NAME = "betterleaks"
CONFIGURATION = Path(__file__).parent.with_name("rules") / "secrets" / "betterleaks.toml"
"""Ours, on top of the engine's own rules; shipped with the package."""

RE2_BYTES = 16 << 20
"""Bytes from which RE2 is the quicker of the engine's two (equal, both linear) regex engines: compiling it costs 0.3 s at each start."""

MAX_FINDINGS = 1_000
"""Of one file."""

MAX_HITS = 2_000
"""Places of one file that are judged: whoever fills a file with what looks like secrets must not keep us busy for minutes."""

_GROUP = 1_000
"""Files of one engine run."""
_SNIFFED = 8_000
"""Bytes in which a NUL makes a file binary, as git decides (`buffer_is_binary`)."""
_FOUND = 99
"""Exit code of the engine when it found something; its default, 1, is also that of its errors."""
_BINARY = re.compile(
    r"[.](7z|aac?|avif?|bin|bmp|bz2|class|dll|dmg|docx?|dylib|ear|eot|exe|flac|gif|gz|hei[cf]|ico|icns|iso|jar|jpe?g|lz4|m4a|mkv|mov|mp[34]|mpe?g"
    r"|o|obj|odt|og[gv]|otf|pdf|png|pptx?|psd|py[cod]|rar|rpm|so|swf|tar|tgz|tiff?|ttf|war|wasm|wav|web[mp]|whl|woff2?|xlsx?|xz|zip|zst)",
    re.IGNORECASE,
)
"""Extensions of files that hold no text. A file that only calls itself so is not looked at, and the ledger says so."""
_UTF16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


class _Matched(BaseModel):
    value: str


class _Place(BaseModel):
    path: str
    start_line: int
    end_line: int


class _Component(BaseModel):
    match: _Matched
    location: _Place


class _ComponentSet(BaseModel):
    components: list[_Component] = []


class _Found(BaseModel):
    rule_id: str
    confidence: str = "low"
    match: _Matched
    location: _Place
    component_sets: list[_ComponentSet] = []


class _Summary(BaseModel):
    state: str
    bytes_scanned: int
    num_findings: int


class _Line(BaseModel):
    """One line of the engine's JSONL: a finding, or the summary that stands last."""

    finding: _Found | None = None
    scan: _Summary | None = None


@dataclass(frozen=True, slots=True)
class _Hit:
    """One secret in one file. Never printed: `value` is kept out of its representation."""

    detector: str
    said: str
    location: Location
    offset: int
    """Where the value begins in the file, in characters; -1 when it stands there in another form only (base64, escapes)."""
    value: str = field(repr=False)
    partners: tuple[tuple[int, str], ...] = field(default=(), repr=False)
    """Line and value of what belongs to it: the secret half of a key."""


class Secrets:
    """The plug-in. It has no state."""

    name = NAME
    scan_type = ScanType.SECRETS

    def rules(self) -> dict[str, Rule]:
        """The rules with a name of their own, by id; a finding may carry another (see `pipeline.triage.secrets.rule_of`)."""
        return triage.known_rules()

    def info(self, control: Control) -> EngineInfo:
        """The engine that would run now. Raises EngineMissing."""
        return EngineInfo(NAME, engines.find(control.engines_dir, NAME).version, _digest())

    def concerns(self, path: str) -> bool:
        """True for everything but files whose extension says that they are binary."""
        return _BINARY.fullmatch(PurePosixPath(path).suffix) is None

    def scan(self, request: ScanRequest, control: Control) -> Iterator[Output]:
        """Look for secrets in every text file. See `Scanner.scan`."""
        deadline = time.monotonic() + request.seconds
        yield from (GapSeen(gap) for gap in request.tree.gaps)
        files = request.tree.files
        for start in range(0, len(files), _GROUP):
            if control.cancelled():
                return
            group = files[start : start + _GROUP]
            yield from self._scan_group(request, group, control, deadline)
            yield Progress(start + len(group), len(files))

    def _scan_group(self, request: ScanRequest, group: Sequence[TreeFile], control: Control, deadline: float) -> Iterator[Output]:
        with private_folder("secrets") as folder:
            shown: dict[str, TreeFile] = {}
            size = 0
            staged = folder / "files"
            staged.mkdir()
            staged.chmod(0o755)
            for number, file in enumerate(group):
                name = _stage(request.tree.root / file.on_disk, staged, number, file.path) if self.concerns(file.path) else ""
                if name:
                    shown[name] = file
                    size += (staged / name).stat().st_size
                else:
                    yield GapSeen(Gap(NAME, file.path, "binary", GapClass.NOT_APPLICABLE))
            found = _run(staged, size, control, deadline) if shown else []
            for name, file in shown.items():
                mine = [line for line in found if PurePosixPath(line.location.path).name == name]
                if mine:
                    yield from _findings(mine, file, (staged / name).read_bytes(), request.secret_key)
            if {PurePosixPath(line.location.path).name for line in found} - shown.keys():
                raise EngineGarbage("betterleaks speaks of a file that it was not given", engine=NAME)
            yield Covered(tuple(file.path for file in shown.values()))


SCANNER = Secrets()


@cache
def _digest() -> str:
    """Of everything that makes a finding besides the engine: its configuration and our triage."""
    content = b"\0".join(path.read_bytes() for path in (CONFIGURATION, Path(triage.__file__), Path(places.__file__)))
    return hashlib.sha256(content).hexdigest()[:12]


def _stage(source: Path, folder: Path, number: int, path: str) -> str:
    """Put a file where the engine sees it, under a harmless name that keeps a harmless extension; `""` for a binary file."""
    with source.open("rb") as file:
        head = file.read(_SNIFFED)
    encoding = _UTF16.get(head[:2])
    if encoding is None and b"\0" in head:
        return ""
    suffix = PurePosixPath(path).suffix
    name = f"{number:06}{suffix if re.fullmatch(r'[.](?!svg|gem)[a-zA-Z0-9]{1,8}', suffix) else '.txt'}"
    target = folder / name
    if encoding is not None:
        target.write_bytes(source.read_bytes().decode(encoding, "replace").encode("utf-8", "replace"))
    else:
        try:
            os.link(source, target)
        except OSError:  # another file system, or a tree of another owner
            shutil.copyfile(source, target)
            target.chmod(0o644)
        return name
    target.chmod(0o644)
    return name


def _run(folder: Path, size: int, control: Control, deadline: float) -> list[_Found]:
    """Start the engine on a folder of ours.

    Raises:
        EngineError: it did not end well, did not read every byte, or its answer cannot be read. No error carries a value.
    """
    engine = engines.find(control.engines_dir, NAME)
    wall = deadline - time.monotonic()
    if wall <= 0:
        raise EngineTimedOut("betterleaks had no time left", engine=NAME)
    finished = run_isolated(
        [
            str(engine.binary),
            *("--config", str(CONFIGURATION), "--no-allow-signatures", "--max-archive-depth=0"),
            f"--regex-engine={'stdlib' if size < RE2_BYTES else 're2'}",
            *("--no-banner", "--no-color", "--log-level=error", f"--exit-code={_FOUND}", "--jsonl", "--output=-", "."),
        ],
        limits=Limits(wall=wall, cpu=wall * 4),
        readable=(*engine.mounts, folder, CONFIGURATION),
        env=engine.env,
        cwd=folder,
    )
    _ensure_ended_well(finished)
    return _read(finished, size)


def _ensure_ended_well(finished: Finished) -> None:
    if finished.timed_out:
        raise EngineTimedOut(f"betterleaks timed out after {finished.seconds:.0f} s", engine=NAME)
    if finished.out_of_memory:
        raise EngineOutOfMemory("betterleaks ran out of memory", engine=NAME)
    if finished.truncated:
        raise EngineCrashed("betterleaks wrote more than anybody can read", engine=NAME)
    if finished.exit_code not in (0, _FOUND):
        reason = f"signal {finished.signal}" if finished.signal else f"exit code {finished.exit_code}"
        raise EngineCrashed(f"betterleaks crashed ({reason})", engine=NAME)


def _read(finished: Finished, size: int) -> list[_Found]:
    """Its findings, when the summary says that it read all and found as many, and its exit code says the same."""
    try:
        lines = [_Line.model_validate_json(line) for line in finished.stdout.splitlines() if line.strip()]
    except ValidationError:
        raise EngineGarbage("betterleaks' answer is not what it documents", engine=NAME) from None  # the cause would quote a value
    found = [line.finding for line in lines if line.finding is not None]
    summary = lines[-1].scan if lines else None
    if (
        summary is None
        or summary.state != "complete"
        or summary.num_findings != len(found)
        or (finished.exit_code == _FOUND) != bool(found)
    ):
        raise EngineGarbage("betterleaks did not say that it is complete", engine=NAME)
    if summary.bytes_scanned != size:
        raise EngineGarbage(f"betterleaks looked at {summary.bytes_scanned:,} of {size:,} bytes", engine=NAME)
    return found


def _findings(found: Sequence[_Found], file: TreeFile, content: bytes, key: bytes) -> Iterator[Output]:
    text = content.decode("utf-8", errors="replace")
    lines = text.split("\n")
    begins = [0, *accumulate(len(line) + 1 for line in lines)]
    judged = []
    first = sorted(found, key=lambda one: (one.location.start_line, one.rule_id, one.match.value))[:MAX_HITS]
    for hit in _distinct([_hit(one, file, text, lines, begins) for one in first]):
        line = lines[hit.location.line - 1] if hit.location.line <= len(lines) else ""
        confidence = triage.confidence_of(hit.detector, hit.value, line, file.path, hit.said)
        if confidence is not None:
            judged.append((hit, dataclasses.replace(triage.rule_of(hit.detector), confidence=confidence)))
    clean = _redacted(text, [hit for hit, _ in judged])
    for hit, rule in judged[:MAX_FINDINGS]:
        finding = Finding(rule, hit.location, "", NAME, detail=_detail(hit), secret=_secret(hit, key), blob=file.blob)
        yield FindingSeen(identify_secret(finding, clean, hit.value))
    if len(judged) > MAX_FINDINGS or len(found) > MAX_HITS:
        yield GapSeen(Gap(NAME, file.path, f"more than {MAX_FINDINGS:,} findings", GapClass.LIMIT))


def _detail(hit: _Hit) -> str:
    if hit.partners:
        return f"its secret half stands on line {hit.partners[0][0]}"
    return "in encoded form" if hit.offset < 0 else ""


def _secret(hit: _Hit, key: bytes) -> Secret:
    keyed = hmac.new(key, hit.value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:32] if key else ""
    marker = marker_of(key)
    marks = b"".join(marker.marks(value) for value in (hit.value, *(value for _, value in hit.partners)))
    return Secret(triage.kind_of(hit.detector)[1], keyed, triage.last_four(hit.detector, hit.value), base64.b64encode(marks).decode())


def _hit(found: _Found, file: TreeFile, text: str, lines: Sequence[str], begins: Sequence[int]) -> _Hit:
    """Where the value really stands: the engine's columns count from the beginning of a chunk, not of the line.

    Args:
        begins: where each line begins in the text, and the end of it all.
    """
    value = found.match.value
    line = min(max(found.location.start_line, 1), len(lines))
    begin = begins[min(line - 1, len(lines))]
    offset = text.find(value, begin) if value else -1
    if offset < 0 or text.count("\n", begin, offset) > max(0, found.location.end_line - line):
        end = min(max(line, found.location.end_line), len(lines))
        where = Location(file.path, line, end, 1, len(lines[end - 1]) + 1)
        return _Hit(found.rule_id, found.confidence, where, -1, value)
    first = line + text.count("\n", begin, offset)
    start = text.rfind("\n", 0, offset) + 1
    last = first + value.count("\n")
    stop = offset + len(value)
    where = Location(file.path, first, last, offset - start + 1, stop - text.rfind("\n", 0, stop))
    partners = tuple((part.location.start_line, part.match.value) for group in found.component_sets[:1] for part in group.components)
    return _Hit(found.rule_id, found.confidence, where, offset, value, partners)


def _distinct(hits: Sequence[_Hit]) -> list[_Hit]:
    """One hit a place: the one that knows most. What is said as the other half of a key is not said again."""
    halves = {value for hit in hits for _, value in hit.partners}
    kept: list[_Hit] = []
    for hit in sorted(hits, key=lambda h: (h.detector in triage.GENERIC, not h.partners, -len(h.value), h.location, h.detector)):
        if hit.value not in halves and not any(_same_place(hit, other) for other in kept):
            kept.append(hit)
    return sorted(kept, key=lambda h: (h.location, h.detector))


def _same_place(one: _Hit, other: _Hit) -> bool:
    if one.offset < 0 or other.offset < 0:
        return one.location.line == other.location.line and (one.value == other.value or one.offset == other.offset)
    return one.offset < other.offset + len(other.value) and other.offset < one.offset + len(one.value)


def _redacted(text: str, hits: Sequence[_Hit]) -> bytes:
    """The file with every secret of it replaced by its kind, line by line: an excerpt of one finding must not show its neighbour."""
    kinds: Mapping[str, str] = {
        value: f"<{triage.kind_of(hit.detector)[1]}>"
        for hit in hits
        for value in (hit.value, *(value for _, value in hit.partners))
        if value
    }
    for value in sorted(kinds, key=len, reverse=True):
        text = text.replace(value, kinds[value] + "\n" * value.count("\n"))
    lines = text.split("\n")
    for hit in hits:
        if hit.offset < 0:  # it stands there in a form that we do not know how to find
            for number in range(hit.location.line, hit.location.end_line + 1):
                lines[number - 1] = kinds.get(hit.value, "<secret>")
    return "\n".join(lines).encode("utf-8", "replace")
