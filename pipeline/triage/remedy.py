"""What a fix of a certain kind of weakness must not be, whatever the engines say: the same weakness one step further.

Only where the kind itself tells: a certificate check that is avoided by talking without TLS, a secret that is not drawn at random at all,
a text that becomes an address instead of markup. Each reason is one sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.model.finding import Finding
from pipeline.triage.nodes import shown
from pipeline.triage.outline import Unit
from pipeline.triage.passwords import no_password_hash
from pipeline.triage.survival import Sides, feeding, flagged_units

_TLS, _RANDOM, _MARKUP, _STATEMENT, _COMMAND, _OBJECTS, _DEBUG, _PATH, _HASH = 295, 338, 79, 89, 78, 502, 489, 22, 916
"""CWE of improper certificate validation, weak random numbers, cross-site scripting, SQL injection, command injection, deserialization,
active debug code, path traversal, passwords under hashes that are too fast."""

_DRAWS = re.compile(
    r"^(secrets\..*|(os\.)?urandom|.*SystemRandom\(\)\..*|SystemRandom|(uuid\.)?uuid4|token_(hex|bytes|urlsafe)|randbelow|randbits|choice"
    r"|(.*\.)?(randomBytes|randomUUID|randomInt|getRandomValues|randomFillSync|generateKeySync|nanoid)|nanoid)$"
)
"""Calls that draw from the operating system's generator, in Python and JavaScript."""

_ADDRESSES = frozenset(["href", "src", "srcdoc", "action", "formAction", "location", "onclick", "onload", "onerror"])
"""Members of a page's elements that run what they are given."""


_MARKUP_NAMES = frozenset(
    ["innerHTML", "outerHTML", "srcdoc", "cssText", "insertHTML", "parseHTML", "createContextualFragment", "attributes", "setAttributeNS"]
)
_RUNNING_ELEMENTS = frozenset(["script", "iframe", "frame", "style", "object", "embed", "link", "base", "meta", "svg", "applet"])
_RUNNERS = frozenset(
    """ssh su sudo doas watch script docker podman kubectl env xargs nohup timeout perl python python2 python3 ruby node deno bun php lua
    awk gawk find make parallel screen tmux expect sshpass chroot nsenter unshare systemd-run at batch busybox time strace setsid nice
    ionice flock sh bash dash zsh ksh csh tcsh fish cmd cmd.exe powershell pwsh eval""".split()  # noqa: SIM905 - a list of words
)
"""Programs that run what they are given as a command."""

_STARTERS = re.compile(
    r"^(run|call|check_call|check_output|Popen|create_subprocess_exec|spawn\w*|posix_spawnp?|exec[lv]\w*|execFile(Sync)?|spawnSync|execa|fork)$"
)
_OBJECT_READERS = re.compile(
    r"(^|[.])(c?pickle|dill|cloudpickle|marshal|shelve|jsonpickle|joblib|torch|pandas|pd)[.](load|loads|open|decode|Unpickler|read_pickle)$"
    r"|[.]get_(single_)?data$|[.]construct_document$|(^|[.])read_pickle$",
    re.IGNORECASE,
)
_OBJECT_MODULES = re.compile(
    r"(import|from) +(_?c?[pP]ickle|dill|cloudpickle|marshal|shelve|jsonpickle|joblib)\b(?! +import +(dump|dumps|encode)\b)"
)
_TEXT = ('"', "'", "`", 'f"', "f'", "(")
"""How a call of a text's method begins when the text stands in front of it."""
_FEW = 8
"""Bytes below which a secret can be guessed by trying; OWASP's session management sheet asks for 64 bits of entropy."""

_PLACEHOLDER = re.compile(r"%\(\w+\)s|%s|\$\d+|(?<!:):[A-Za-z_]\w*|@[A-Za-z_]\w*|\?")
"""Of a bound value, as the drivers write it (PEP 249, `paramstyle`; node-postgres, mysql2)."""
_QUOTED = re.compile(r"['\"`](?:%\(\w+\)s|%s|\$\d+|\?)['\"`]")
_TAG = re.compile(r"<\s*([a-zA-Z][\w-]*)")
_TIMES = re.compile(r"range\((\d+)\)")
_ALPHABET = re.compile(r"\b(?:choices?|sample)\(([\w.]+)")
_COUNT = re.compile(r"range\(([^()]++(?:\([^()]*+\)[^()]*+)*+)\)")
_CUT = re.compile(r"\[:?[0-7]\]|\[0:[0-7]\]|\[-[0-7]:\]|\.(?:slice|substring|substr|charAt|at)\((?:0, ?)?[0-7]\)")


@dataclass(frozen=True, slots=True)
class _Change:
    """The flagged file's two sides, its flagged statements, and the added ones."""

    sides: Sides
    flagged: Sequence[Unit]
    added: Sequence[Unit]


def no_remedies(sides: Sides, finding: Finding) -> list[str]:
    """Why the patch cannot be a fix of this kind of weakness; empty when nothing speaks against it."""
    if sides.edit.path != finding.location.path:
        return []
    kind = _KINDS.get(finding.rule.cwe or 0)
    return kind(_Change(sides, flagged_units(sides, finding), sides.added())) if kind is not None else []


def _texts(units: Sequence[Unit]) -> set[str]:
    return {text for unit in units for text in unit.strings}


def _tls(change: _Change) -> list[str]:
    new = _texts(change.added) - _texts(change.sides.before.units)
    calls = [call for unit in change.added for call in unit.calls]
    if any(text.lower().startswith("http:") or text.lower() in ("http", "http:") for text in new) or any(
        call.root == "http" or call.path.startswith(("require('http')", 'require("http")')) for call in calls
    ):
        return ["the connection has no TLS any more, so there is no certificate to check"]
    if new & {"-k", "--insecure", "--no-check-certificate", "/dev/null", "NULL", "aNULL"}:
        return ["another program or file now stands for the certificate check, and it checks nothing"]
    return []


def _random(change: _Change) -> list[str]:
    if not any(unit.calls for unit in change.flagged):
        return []
    drawing = [unit for unit in change.added if any(_DRAWS.match(call.path) for call in unit.calls)]
    if not drawing:
        return ["the new value is not drawn from the operating system's random numbers"]
    wanted = {name for unit in change.flagged for name in unit.binds}
    drawn = {name for unit in drawing for name in unit.binds}
    makers = [unit for unit in change.added if unit.binds & wanted and unit.start != drawing[0].start]
    if wanted and not drawn & wanted and not any((unit.loads | unit.roots) & drawn for unit in makers):
        return ["random numbers are drawn, and the value is made of something else"]
    reasons = []
    known = "".join(unit.text for unit in change.flagged)
    sets = {match[1] for match in _ALPHABET.finditer(known)}
    others_of = {match[1] for unit in change.added for match in _ALPHABET.finditer(unit.text)} - sets
    others_of -= {name for unit in change.added for name in unit.binds}
    if sets and others_of:
        reasons.append(f"`{shown(min(others_of))}` is what is drawn from now, which it was not")
    times = [int(number) for number in _TIMES.findall(known)]
    fewer = [int(number) for unit in change.added for number in _TIMES.findall(unit.text)]
    if times and fewer and min(fewer) < min(times):
        reasons.append(f"{min(fewer)} pieces are drawn, and {min(times)} were before: the value can be guessed by trying")
    counts = {"".join(text.split()) for text in _COUNT.findall(known)}
    others = {"".join(text.split()) for unit in change.added for text in _COUNT.findall(unit.text)} - counts
    if counts and any(not text.isdigit() for text in others):
        reasons.append("another number of pieces is drawn than before")
    most = max((number for unit in change.flagged for call in unit.calls for number in call.numbers), default=0)
    for unit in drawing:
        for call in unit.calls:
            if not _DRAWS.match(call.path):
                continue
            few = (
                call.name in ("token_hex", "token_bytes", "token_urlsafe", "urandom", "randomBytes")
                and min(call.numbers, default=_FEW) < _FEW
            )
            # With what is drawn a number at a time the old code says how large a number was.
            small = call.name in ("randbelow", "randbits", "randomInt", "getrandbits", "randint", "randrange")
            small = small and bool(call.numbers) and max(call.numbers) < (most or 1 << 16)
            poor = call.name == "choice" and bool(call.literal) and len(set(call.literal)) < 10
            once = call.name == "choice" and " for " in known and " for " not in unit.text
            if few or small or poor or once:
                reasons.append(f"`{call.path}` draws too little (line {unit.line}): the value can be guessed by trying")
        if _CUT.search(unit.text) and not _CUT.search(known):
            reasons.append(f"line {unit.line} cuts the value short: it can be guessed by trying")
    return reasons


def _markup(change: _Change) -> list[str]:
    reasons = []
    known = {tag.lower() for unit in change.sides.before.units for tag in _TAG.findall(unit.text)}
    for unit in change.added:
        brought = sorted({tag.lower() for tag in _TAG.findall(unit.text)} - known)
        if brought and unit.strings:
            reasons.append(f"line {unit.line} brings `<{brought[0]}>` into the page, which was not there before")
        cleaned = any(call.path == "DOMPurify.sanitize" for call in unit.calls)
        names = unit.parts | unit.written | unit.strings | {call.name for call in unit.calls}
        written = sorted(unit.written & _ADDRESSES) if unit.loads or unit.calls else []
        if written:
            reasons.append(f"the text becomes `{written[0]}` now, which the browser runs as well")
        elif sorted(names & _MARKUP_NAMES) and not cleaned:
            reasons.append(f"the text still becomes markup, by `{sorted(names & _MARKUP_NAMES)[0]}` (line {unit.line})")
        elif any(call.name == "createElement" and call.literal.lower() in _RUNNING_ELEMENTS for call in unit.calls):
            reasons.append(f"line {unit.line} makes an element that runs what it is given")
        elif any(call.path in ("$", "jQuery") and not call.literal for call in unit.calls):
            reasons.append(f"line {unit.line} has jQuery read the text, which makes elements of markup")
        elif any(call.path in ("window.open", "open", "location.assign", "location.replace") for call in unit.calls):
            reasons.append(f"line {unit.line} opens the text as an address")
    return reasons


def _statement(change: _Change) -> list[str]:
    """The words of the statement stay, unless there is no statement any more because a mapper makes it."""
    fed = feeding(change.sides, change.flagged)
    old = _texts([unit for unit in change.sides.before.units if unit.start in fed])
    new = _texts(change.sides.after.units)
    begins = re.compile(r"\s*(select|insert|update|delete|with|replace|merge|create|drop|alter)\b", re.IGNORECASE)
    if not any(begins.match(text) for text in old) or not any(begins.match(text) for text in _texts(change.added)):
        return []
    wanted = {word.lower() for text in old if begins.match(text) for word in re.findall(r"[A-Za-z_]{3,}", text)}
    missing = wanted - {word.lower() for text in new for word in re.findall(r"[A-Za-z_]{3,}", text)}
    reasons = [f"`{sorted(missing)[0]}` is no longer in the statement"] if missing else []
    made = [unit for unit in change.added if any(begins.match(text) for text in unit.strings)]
    # A name alone is a key of what is bound.
    texts = {text for text in _texts(made) if not re.fullmatch(r"[\w.-]+", text)}
    more = {word for text in texts for word in _words_of(text)} - {word for text in old for word in _words_of(text)}
    if more:
        reasons.append(f"`{sorted(more)[0]}` is in the statement now, and was not before")
    if any(_QUOTED.search(text) for text in texts):
        reasons.append("the placeholder stands in quotes, where it is none")
    return reasons


def _words_of(text: str) -> set[str]:
    """Words, numbers and comparisons of a statement, but for its placeholders."""
    return {word.lower() for word in re.findall(r"[A-Za-z_]\w*|\d+|<>|!=|<=|>=|[=<>*]", _PLACEHOLDER.sub(" ", text))}


def _command(change: _Change) -> list[str]:
    fed = feeding(change.sides, change.flagged)
    old = _texts([unit for unit in change.sides.before.units if unit.start in fed])
    split = _split(change)
    if split:
        return split
    words = {word for text in old for word in text.split()}
    reasons = [
        f"`{name}` is started now, which runs what it is given as a command"
        for name in sorted(
            {text.rsplit("/", 1)[-1] for text in _texts(change.added)} & _RUNNERS - {word.rsplit("/", 1)[-1] for word in words}
        )
    ]
    # A command line has blanks; a word alone is a field or an answer.
    programs = {text.split()[0] for text in old if len(text.split(" ")) > 1 and re.match(r"[\w./-]+(\s|$)", text)}
    used = {name for unit in change.added for name in unit.loads | unit.roots}
    near = [*change.added, *(unit for unit in change.sides.after.units if unit.binds & used)]
    first = {text.split()[0] for text in _texts(near) if text.split()}
    starts = any(_STARTERS.match(call.name) for unit in change.added for call in unit.calls)
    if starts and programs and not programs & first:
        reasons.append(f"`{sorted(programs)[0]}` is no longer what is started")
    return reasons


def _split(change: _Change) -> list[str]:
    """A command line that is cut at blanks: who chooses a value in it chooses how many arguments there are, quoted or not."""
    scopes = {unit.scope for unit in change.flagged}
    lines = {name for unit in change.sides.after.units if unit.scope in scopes and unit.built for name in unit.binds}
    return [
        f"line {unit.line} cuts a command line at blanks: a value with a blank in it becomes several arguments"
        for unit in change.added
        for call in unit.calls
        if call.name in ("split", "rsplit")
        and call.root != "shlex"
        and (call.root in lines or (unit.built and call.path.startswith(_TEXT)))
    ][:1]


def _objects(change: _Change) -> list[str]:
    reasons = [
        f"`{call.path[:60]}` (line {unit.line}) makes objects of what it reads as well"
        for unit in change.added
        for call in unit.calls
        if _OBJECT_READERS.search(call.path)
    ]
    reasons += [
        f"line {unit.line} brings a loader of objects in" for unit in change.added if unit.imports and _OBJECT_MODULES.match(unit.text)
    ]
    allowed = [unit for unit in change.added if unit.options.get("allow_pickle", (False, ""))[0]]
    return reasons + [f"line {unit.line} allows objects in what is read" for unit in allowed]


def _debug(change: _Change) -> list[str]:
    """What else the server was told stays: where it listens; and nothing else brings a debugger."""
    if any(call.name in ("DebuggedApplication", "DebugToolbarExtension") for unit in change.added for call in unit.calls):
        return ["another debugger takes the place of the one that is off"]
    hosts = _texts(change.flagged)
    new = {text for unit in change.added for text in unit.strings} - hosts - {"127.0.0.1", "localhost"}
    return ["the server gets another setting than before"] if hosts and new and not hosts & _texts(change.added) else []


def _path(change: _Change) -> list[str]:
    nothing = [unit for unit in change.added if re.search(r"\bmembers ?= ?(\[\]|\(\)|None and)", unit.text)]
    reasons = [f"line {unit.line} unpacks nothing" for unit in nothing]
    known = _texts(change.sides.before.units)
    for unit in change.added:
        from_top = sorted(text for text in unit.strings - known if text.startswith("/"))
        if from_top and any(call.name in ("safe_join", "join", "send_from_directory", "resolve") for call in unit.calls):
            reasons.append(f"line {unit.line} reaches from `{from_top[0]}` now, which is not the folder that it was")
    return reasons


def _hash(change: _Change) -> list[str]:
    return no_password_hash(change.flagged, change.added, change.sides.after.units)


_KINDS: Mapping[int, Callable[[_Change], list[str]]] = {
    _TLS: _tls,
    _RANDOM: _random,
    _MARKUP: _markup,
    _STATEMENT: _statement,
    _COMMAND: _command,
    _OBJECTS: _objects,
    _DEBUG: _debug,
    _PATH: _path,
    _HASH: _hash,
}
