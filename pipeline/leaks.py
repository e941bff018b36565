"""What must not get out, and the one filter that takes it out of every text that leaves: logs, errors, rows, answers, whatever is shown.

Three things are removed. Our own secrets: the process that holds one says so with `remember`. Whatever has the shape of a credential, of
anybody. And the values that a scan has found, although none of them is kept anywhere: of each one there are *marks*, keyed hashes of the
value and of its encodings (base64 in its three alignments, hex), and the text is searched for something with the same hashes.

So that a value is found however it is written, a text is compared in a plain form: escapes of HTML, URLs, JSON and Markdown are undone,
what nobody sees is left out, and of the rest only letters and digits count. Line ends, quotes, zero-width characters and the signs of
a diff make no difference, then.

`clean` is the one function for texts that no repository is known for; `Filter.clean` knows a repository's marks too.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import sys
import threading
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from pipeline.unescaping import rounds_of

REMOVED = "[removed]"

SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (begins, re.compile(pattern))
    for begins, pattern in (
        ("gh", r"gh[opsur]_[A-Za-z0-9._-]{20,}"),
        ("github_pat_", r"github_pat_[A-Za-z0-9_]{20,}"),
        ("gl", r"gl(?:pat|dt|rt|rtr|ptt|cbt|ft|soat|ffct|imt|agent|oas|wt)-[A-Za-z0-9._-]{16,}"),
        ("fxw_", r"fxw_[a-z]+_[A-Za-z0-9_]{16,}"),
        ("AKIA", r"AKIA[A-Z0-9]{16}"),
        ("ASIA", r"ASIA[A-Z0-9]{16}"),
        ("xox", r"xox[a-z]-[A-Za-z0-9-]{10,}"),
        ("_live_", r"[srw]k_live_[A-Za-z0-9]{16,}"),
        ("eyJ", r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}+[.][A-Za-z0-9_-]{8,}+[.][A-Za-z0-9_-]*"),
        (
            "PRIVATE KEY",
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:[A-Za-z0-9+/=\s:,-]|\\[nr]){0,200}?[A-Za-z0-9+/=]{40}"
            r"(?:[A-Za-z0-9+/=\s]|-(?!-)|\\[nr])*+(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?",
        ),
        ("://", r"(?<=://)[^/\s\"<>:]{0,256}:(?!(?:[.*x]{3,}|password)@|[^/\s@]*[{}<>$%(])[^/\s\"<>]+(?=@)"),
    )
)
"""What looks like a credential wherever it stands, each with what it cannot be without: GitHub's tokens in old and new form (GitHub docs
"Authentication", format since 2026-04), GitLab's (docs "Token overview"), our own, AWS, Slack, Stripe, JSON Web Tokens, private keys,
passwords in URLs (but no placeholders: `{password}`, `$PASSWORD`)."""

CARRIERS = re.compile(
    r"(?i:(?:authorization|private-token|job-token|x-gitlab-token|cookie)[\"']?\s*[:=,]\s*b?[\"']?(?:(?:basic|bearer|token)\s+)?)[^\s\"',]{6,}"
    r"|(?i:\b(?:bearer|basic)\s+)[A-Za-z0-9+/=._~-]{16,}"
    r"|(?i:\bpassword\s*=\s*)'?[^\s']+"
    r"|(?<=://)[^/\s\":]{0,256}:[^/\s\"]*(?=@)"
)
"""What carries a credential in the words of machines: headers, connection strings, URLs. Only for logs and errors: in what is written for
people, and in code, the same words are harmless (`password = os.environ[...]`)."""

_WINDOW = 6
"""Characters by which a place is recognized at first."""
_HEAD, _FULL, _SIZE = 4, 10, 16
"""Bytes of a mark: of the first hash, the second one, and in all; between them stands a length."""
_WHOLE, _PIECE = 64, 32
"""A longer value is marked in pieces, a private key line by line, so that a part of it is recognized too."""
MOST_MARKS = 640
"""Of one value: enough for a key of 4,096 bits with its encodings."""
_REMEMBERED, _AT_ONCE = 256, 64
"""Tokens of our own that a process keeps, as they are made anew every hour, and how many more there may be before the oldest are forgotten,
all at once: that begins anew with all marks. Secrets of the settings are all kept: they stay valid as long as nobody changes them, and
there are as many as an operator has set."""

_NOT_LETTERS = bytes(c for c in range(128) if not chr(c).isalnum())
_NOT_VISIBLE = bytes(c for c in range(128) if c <= 32 or c == 127 or chr(c) in "\\\"'`")
_LONGEST = 256
_EXACT = 0x8000
"""Set in a length: a value with few letters and digits, whose symbols count too."""


# --- plain forms -----------------------------------------------------------------------------------------------------------------------


def _letters(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass").translate(None, _NOT_LETTERS)


def _visible(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass").translate(None, _NOT_VISIBLE)


# --- marks ----------------------------------------------------------------------------------------------------------------------------


class Marker:
    """Makes marks, and knows them again.

    The first hash is AES of some characters, cut to 4 bytes: what is cut off cannot be turned back, and a thousand cost no more than
    a few of another hash. The second one is HMAC-SHA-256 of the whole piece.

    Args:
        key: secret bytes, for this purpose only.
    """

    def __init__(self, key: bytes) -> None:
        # Equal blocks must give equal hashes, and each block is a message of its own.
        self._first = Cipher(AES(hmac.digest(key, b"fixwright leaks, first", "sha256")[:16]), ECB())  # noqa: S305
        self._second = hmac.digest(key, b"fixwright leaks, second", "sha256")

    def marks(self, value: str, *, words: bool = False) -> bytes:
        """The marks of a value in every form in which it could stand in a text; empty for what is too plain to be told from words.

        Args:
            words: mark at least the encodings of such a one.
        """
        pieces = list(_pieces(rounds_of(value)[-1].text))
        if not pieces and not words:
            return b""
        for form in _encoded(value.encode("utf-8", "surrogatepass")):
            pieces += [(0, piece) for piece in _cut(form)]
        return b"".join(dict.fromkeys(self._mark(flag, piece) for flag, piece in pieces[:MOST_MARKS]))

    def heads(self, view: bytes) -> array[int]:
        """The first hash of what begins at each byte of `view`."""
        count = len(view) - _WINDOW + 1
        blocks = bytearray(16 * max(count, 0))
        for offset in range(_WINDOW if count > 0 else 0):
            blocks[offset::16] = view[offset : offset + count]
        return array("I", self._cipher().update(bytes(blocks)))[::4]

    def full(self, piece: bytes) -> bytes:
        """The second hash."""
        return hmac.digest(self._second, piece, "sha256")[:_FULL]

    def _mark(self, flag: int, piece: bytes) -> bytes:
        head = self._cipher().update(piece[:_WINDOW].ljust(16, b"\0"))[:_HEAD]
        return head + (flag | len(piece)).to_bytes(2, "big") + self.full(piece)

    def _cipher(self) -> CipherContext:
        """A context of the caller's own: threads cannot share one, and this part of making one is quick."""
        return self._first.encryptor()


def _pieces(plain: str) -> Iterator[tuple[int, bytes]]:
    letters, visible = _letters(plain), _visible(plain)
    if len(letters) > _WHOLE and len(lines := plain.split()) > 1:
        yield from ((0, piece) for line in lines if len(_letters(line)) >= _PIECE // 2 for piece in _cut(_letters(line)))
    elif is_telling(letters):
        yield from ((0, piece) for piece in _cut(letters))
    elif len(visible) >= 8 and sum(any(test(chr(c)) for c in visible) for test in _CLASSES) >= 3:
        yield _EXACT, visible[:_LONGEST]


_CLASSES: tuple[Callable[[str], bool], ...] = (str.islower, str.isupper, str.isdigit, lambda c: not c.isalnum())


def is_telling(letters: bytes) -> bool:
    """Whether these letters and digits in a text can only be the value: 16 of them, or 8 with both among them. A word is not."""
    digits = sum(c in b"0123456789" for c in letters)
    return len(letters) >= 16 or (len(letters) >= 8 and 0 < digits < len(letters))


def may_be_secret(word: str) -> bool:
    """Whether a word looks more like a value that was made by a machine than like one that a person types."""
    return is_telling(_letters(word))


def _cut(letters: bytes) -> Iterator[bytes]:
    if len(letters) <= _WHOLE:
        if len(letters) >= _WINDOW:
            yield letters
        return
    for start in range(0, len(letters) - _PIECE + 1, _PIECE):
        rest = len(letters) - start
        yield letters[start : start + (_PIECE if rest >= 2 * _PIECE else rest)]


def _encoded(value: bytes) -> Iterator[bytes]:
    """Letters and digits of the encodings that a text could have it in."""
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + value)
        yield text[-(-shift * 8 // 6) : (shift + len(value)) * 8 // 6].translate(None, _NOT_LETTERS)
    yield value.hex().encode()
    yield value.hex().upper().encode()


class _Marked:
    """Values by their marks."""

    def __init__(self, marker: Marker, marks: Iterable[bytes] = ()) -> None:
        self._marker = marker
        self._by_head: dict[int, frozenset[tuple[int, bytes]]] = {}
        self._flags = 0
        self._add(marks)

    def _add(self, marks: Iterable[bytes]) -> None:
        """What is no whole mark is passed over."""
        for each in marks:
            for start in range(0, len(each) - _SIZE + 1, _SIZE):
                length = int.from_bytes(each[start + _HEAD : start + _HEAD + 2], "big")
                head = int.from_bytes(each[start : start + _HEAD], sys.byteorder)
                self._by_head[head] = self._by_head.get(head, frozenset()) | {(length, each[start + _HEAD + 2 : start + _SIZE])}
                self._flags |= 2 if length & _EXACT else 1
        self._heads = frozenset(self._by_head)

    def and_also(self, marks: Iterable[bytes]) -> _Marked:
        """These values and more; who reads the present ones goes on undisturbed."""
        more = _Marked(self._marker)
        more._by_head, more._flags = dict(self._by_head), self._flags
        more._add(marks)
        return more

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where values stand in a text without escapes."""
        if self._flags & 1:
            yield from self._in(text, _letters(text), 0, _NOT_LETTERS)
        if self._flags & 2:
            yield from self._in(text, _visible(text), _EXACT, _NOT_VISIBLE)

    def _in(self, text: str, view: bytes, flag: int, left_out: bytes) -> Iterator[tuple[int, int]]:
        places: list[int] = []
        for begin in range(0, max(len(view) - _WINDOW + 1, 0), _STRETCH):
            heads = self._marker.heads(view[begin : begin + _STRETCH + _WINDOW - 1])
            present = self._heads.intersection(heads)
            for at in [begin + at for at, head in enumerate(heads) if head in present] if present else ():
                for size in self._sizes(view, at, heads[at - begin], flag):
                    places = places or _places(text, left_out)
                    yield places[at], places[at + size - 1] + 1

    def _sizes(self, view: bytes, at: int, head: int, flag: int) -> Iterator[int]:
        """Lengths of the values that begin there."""
        for length, full in self._by_head[head]:
            size = length & ~_EXACT
            if length & _EXACT == flag and at + size <= len(view) and self._marker.full(view[at : at + size]) == full:
                yield size


_STRETCH = 1 << 16
"""Bytes that are hashed at once: each takes sixteen meanwhile."""


def _places(text: str, left_out: bytes) -> list[int]:
    """Index in `text` of the character that each byte of its view belongs to."""
    gone = frozenset(map(chr, left_out))
    return [at for at, char in enumerate(text) if char not in gone for _ in range(len(char.encode("utf-8", "surrogatepass")))]


# --- the filter -----------------------------------------------------------------------------------------------------------------------


class Filter:
    """Takes out what must not leave: our own secrets, shapes of credentials, and what it is given here.

    Args:
        secrets: values that a stage holds in its hand.
        marks: of what scans have found.
        marker: the one that made `marks`; None: `marker_of(b"")`.
    """

    def __init__(self, secrets: Iterable[str] = (), marks: Iterable[bytes] = (), marker: Marker | None = None) -> None:
        given = [secret for secret in secrets if len(secret) >= _WINDOW]
        self._given = _Marked(_PROCESS, [_PROCESS.marks(secret, words=True) for secret in given])
        self._words = _words(given)
        self._found = _Marked(marker or _PROCESS, marks)

    def clean(self, text: str, *, machine: bool = False, tagged: bool = False) -> str:
        """The text with `[removed]` where something must not leave.

        Args:
            machine: True for what programs say to operators (logs, errors): there also what stands where credentials stand is removed,
                and those of our own secrets that are no more than a word.
            tagged: True for what names something in the store: `[removed 1f2e3d4c]`, so that two names stay two.
        """
        if len(text) < _WINDOW:
            return text
        spans = sorted(self._spans(text, machine))
        return _without(text, spans, tagged=tagged) if spans else text

    def touches(self, text: str) -> bool:
        """Whether anything would be removed."""
        return next(self._spans(text, machine=False), None) is not None

    def _spans(self, text: str, machine: bool) -> Iterator[tuple[int, int]]:
        rounds = rounds_of(text)
        for number, spoken in enumerate(rounds):
            for span in self._direct(spoken.text, machine, last=number == len(rounds) - 1):
                for each in reversed(rounds[1 : number + 1]):
                    span = each.origin(*span)
                yield span

    def _direct(self, text: str, machine: bool, *, last: bool) -> Iterator[tuple[int, int]]:
        for begins, shape in SHAPES:
            if begins in text:
                yield from (found.span() for found in shape.finditer(text))
        if machine:
            yield from (found.span() for found in CARRIERS.finditer(text))
            for word in (*_OWN.words, *self._words):
                yield from (found.span() for found in re.finditer(re.escape(word), text))
        if last:
            for marked in (_OWN.marked, self._given, self._found):
                yield from marked.spans(text)


def _without(text: str, spans: Iterable[tuple[int, int]], *, tagged: bool) -> str:
    kept, done = [], 0
    for begin, end in spans:
        if end <= done:
            continue
        if begin >= done:
            # Of something short a digest could be tried for every word.
            tag = f" {hashlib.sha256(text[begin:end].encode('utf-8', 'surrogatepass')).hexdigest()[:8]}" if end - begin >= _TAGGED else ""
            kept += [text[done:begin], f"[removed{tag}]" if tagged else REMOVED]
        done = end
    return "".join([*kept, text[done:]])


_TAGGED = 20
"""Characters from which what was removed gets a digest in its place."""


class _Own:
    """What this process knows: the settings' secrets, and the newest of the tokens that it was given."""

    def __init__(self) -> None:
        self._settings: dict[str, _Known] = {}
        self._tokens: dict[str, _Known] = {}
        self._lock = threading.Lock()
        self.marked = _Marked(_PROCESS)
        self.words: tuple[str, ...] = ()
        self.learnt = 0

    def add(self, secrets: Iterable[str], *, passing: bool) -> None:
        with self._lock:
            new = [s for s in secrets if len(s) >= _WINDOW and s not in self._settings and not (passing and s in self._tokens)]
            if not new:
                return
            learnt = {secret: _Known(_PROCESS.marks(secret, words=True), bool(_words([secret]))) for secret in new}
            (self._tokens if passing else self._settings).update(learnt)
            # Put in place at once: others are reading.
            if len(self._tokens) > _REMEMBERED + _AT_ONCE:
                for secret in list(self._tokens)[:-_REMEMBERED]:
                    del self._tokens[secret]
                self.marked = _Marked(_PROCESS, [known.marks for known in (*self._settings.values(), *self._tokens.values())])
            else:
                self.marked = self.marked.and_also(known.marks for known in learnt.values())
            self.words = tuple(secret for secret, known in (*self._settings.items(), *self._tokens.items()) if known.plain)
            self.learnt += 1


def _words(secrets: Iterable[str]) -> tuple[str, ...]:
    """Those that are too plain for marks."""
    return tuple(secret for secret in secrets if not _PROCESS.marks(secret))


class _Known(NamedTuple):
    """A secret's marks, and whether it is too plain to be told from words by them."""

    marks: bytes
    plain: bool


_PROCESS = Marker(os.urandom(32))
"""For what this process knows itself: nothing of it outlasts the process."""


def marker_of(key: bytes) -> Marker:
    """The marker of a key; without one (command line) this process's own."""
    return Marker(key) if key else _PROCESS


_OWN = _Own()
_EVERYWHERE = Filter()
_HERE: ContextVar[Filter] = ContextVar("filter", default=_EVERYWHERE)


def remember(*secrets: str, passing: bool = False) -> None:
    """These are secrets of ours: from now on they leave this process in no text.

    Args:
        secrets: what is shorter than six characters is in too many words, and is not looked for.
        passing: True for tokens that are made anew every hour. The newest 256 of these are kept in mind, and all of the others.
    """
    _OWN.add(secrets, passing=passing)


@contextmanager
def within(known: Filter | None = None) -> Iterator[None]:
    """While this block runs, `clean` knows what `known` does, or what `learn` says meanwhile: all that is said there is of one place."""
    token = _HERE.set(known or _EVERYWHERE)
    try:
        yield
    finally:
        _HERE.reset(token)


def learn(known: Filter) -> None:
    """Until the block of `within` around this ends, `clean` knows what `known` does."""
    _HERE.set(known)


def clean(text: str, *, machine: bool = False, tagged: bool = False) -> str:
    """The text without our own secrets, without what looks like a credential, and without what `within` knows. See `Filter.clean`.

    This is the function for everything that leaves: a row, a log line, an answer.
    """
    return _HERE.get().clean(text, machine=machine, tagged=tagged)


def clean_name(text: str) -> str:
    """As `clean` for what statements of the store compare: the answer depends on nothing that a scan may find later."""
    return _EVERYWHERE.clean(text, tagged=True)


def state() -> int:
    """Another number whenever this process has learnt another secret of its own."""
    return _OWN.learnt


def clean_document(text: str) -> str:
    """A JSON text with every string in it cleaned, as for the store; bytes in it (base64 below `$bytes`) stay as they are."""
    here = _HERE.get()
    return json.dumps(_cleaned(json.loads(text), here), separators=(",", ":")) if here.touches(text) else text


def _cleaned(value: object, here: Filter) -> object:
    if isinstance(value, str):
        return here.clean(value, tagged=True)
    if isinstance(value, list):
        return [_cleaned(one, here) for one in value]
    if isinstance(value, dict):
        if value.keys() == {"$bytes"}:
            return value
        return {here.clean(name, tagged=True): _cleaned(one, here) for name, one in value.items()}
    return value
