"""Secrets that exist nowhere else, in every form in which they could get out, and a search for them in whatever a process left behind.

`canaries(seed, count)` makes them, of all the kinds that people commit; nothing that looks like one stands in this file, they are put
together at run time. `leaks(roots, made)` looks at files of any kind: text, SQLite databases (each row of each table, also what is only in
the write-ahead log yet), dumps, and what is compressed inside of them. It needs about 0.1 s for a megabyte.

What it cannot see through: Redis compresses strings in its dump unless `rdbcompression no` is set, and PostgreSQL large rows in its
files (read a `pg_dump`, or `COPY`, instead).
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import random
import re
import shutil
import sqlite3
import string
import tempfile
import zlib
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

from pipeline.escaping import escape

_LETTERS = string.ascii_letters + string.digits
_SYMBOLS = "!@#$%^&*()_+-=[]{}|;:,.<>?/~"
_CHUNK = 1 << 20
_OVERLAP = 4_096
_LONGEST = 96
"""Bytes of a form that are looked for; of a longer one those in its middle, where no two have the same."""
_SHORTEST = 7
_DELETED = bytes(c for c in range(128) if not chr(c).isalnum())
_UNSEEN = re.compile(rb"\xc2\xad|\xe2\x80[\x8b-\x8f\xa8-\xae]|\xe2\x81[\xa0-\xa4]|\xef\xbb\xbf")
"""Soft hyphen, zero-width and direction characters, in UTF-8."""
_DEFLATED = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")
_HEX = re.compile(rb"\\\\?x([0-9a-f]{32,})")
"""How PostgreSQL writes bytes as text (manual, section 8.4)."""


@dataclass(frozen=True, slots=True)
class Canary:
    """One secret. `value` is what must not get out."""

    name: str
    value: str
    kind: str

    @property
    def line(self) -> str:
        """A line of Python (or several) as somebody would have committed it."""
        if self.kind == "private-key":
            return f'{self.name.upper().replace("-", "_")} = """{self.value}"""'
        if self.kind == "connection-string":
            return f'DATABASE_URL = "postgres://app:{self.value}@db.internal:5432/shop"'
        setting = {"aws-secret-key": "AWS_SECRET_ACCESS_KEY", "password": "DB_PASSWORD", "unicode-password": "ADMIN_PASSWORD"}
        return f"{setting.get(self.kind, self.kind.upper().replace('-', '_'))} = {json.dumps(self.value, ensure_ascii=False)}"


def canaries(seed: int, count: int) -> list[Canary]:
    """`count` secrets of all kinds by turns; the same for the same seed."""
    chance = random.Random(seed)  # repeatable
    kinds = list(_MAKERS)
    return [Canary(f"canary-{n:03}", _MAKERS[kinds[n % len(kinds)]](chance), kinds[n % len(kinds)]) for n in range(count)]


def _letters(chance: random.Random, count: int, alphabet: str = _LETTERS) -> str:
    return "".join(chance.choices(alphabet, k=count))


def _password(chance: random.Random, length: int, symbols: str = _SYMBOLS) -> str:
    """As a generator of passwords makes them: of every class, and no word."""
    classes = (string.ascii_lowercase, string.ascii_uppercase, string.digits, symbols)
    made = [chance.choice(one) for one in classes] + chance.choices("".join(classes), k=length - len(classes))
    chance.shuffle(made)
    return "".join(made)


def _private_key(chance: random.Random) -> str:
    body = [_letters(chance, 64, _LETTERS + "+/") for _ in range(12)]
    return "\n".join([f"-----BEGIN {'RSA'} PRIVATE KEY-----", *body, f"-----END {'RSA'} PRIVATE KEY-----"])


def _web_token(chance: random.Random) -> str:
    parts = (json.dumps({"alg": "HS256", "typ": "JWT"}), json.dumps({"sub": _letters(chance, 12), "admin": True}))
    said = ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts)
    return f"{said}.{_letters(chance, 43, _LETTERS + '-_')}"


_MAKERS: dict[str, Callable[[random.Random], str]] = {
    "github-token": lambda chance: "gh" + "p_" + _letters(chance, 36),
    "aws-access-key": lambda chance: "AK" + "IA" + _letters(chance, 16, string.ascii_uppercase + "234567"),
    "password": lambda chance: _password(chance, chance.choice((10, 14, 20, 32))),
    "gitlab-token": lambda chance: "gl" + "pat-" + _letters(chance, 20),
    "private-key": _private_key,
    "stripe-key": lambda chance: "sk" + "_live_" + _letters(chance, 24),
    "connection-string": lambda chance: _password(chance, 18, "!$*-_.~"),
    "github-installation-token": lambda chance: "gh" + "s_" + _letters(chance, 36),
    "aws-secret-key": lambda chance: _letters(chance, 40, _LETTERS + "+/"),
    "slack-token": lambda chance: "xox" + f"b-{chance.randrange(10**11, 10**12)}-{chance.randrange(10**12, 10**13)}-{_letters(chance, 24)}",
    "short-password": lambda chance: _password(chance, 9, "!$*-_.~"),
    "github-fine-grained-token": lambda chance: "github" + "_pat_" + _letters(chance, 22) + "_" + _letters(chance, 59),
    "unicode-password": lambda chance: _password(chance, 12, "-_.!") + "".join(chance.choices("äöüßéñøλжя漢字", k=4)),
    "web-token": _web_token,
    "hex-key": lambda chance: _letters(chance, 64, "0123456789abcdef"),
}


def encodings(value: str) -> list[bytes]:
    """The forms in which `value` could stand somewhere, each once: as it is; base64 and its URL variant in the three alignments that it
    can have inside of something longer; hex; escaped for a URL, JSON, HTML, Markdown, a shell; UTF-16; and, when it has several lines,
    each line of it."""
    return list(dict.fromkeys(form for _, form in _forms(value)))


def _forms(value: str) -> Iterator[tuple[str, bytes]]:
    plain = value.encode("utf-8", "surrogatepass")
    yield "plain", plain
    for line in plain.splitlines()[1:-1]:
        yield "one line", line
    for start in range(3):
        core = base64_core(plain, start)
        yield "base64", core
        yield "base64url", core.translate(bytes.maketrans(b"+/", b"-_"))
    yield "hex", plain.hex().encode()
    yield "HEX", plain.hex().upper().encode()
    escaped = quote(value, safe="", errors="surrogatepass")
    yield "URL", escaped.encode()
    yield "url", re.sub("%..", lambda found: found[0].lower(), escaped).encode()
    yield "form", quote_plus(value, errors="surrogatepass").encode()
    yield "JSON", json.dumps(value)[1:-1].encode()
    yield "JSON of JSON", json.dumps(json.dumps(value))[3:-3].encode()
    yield "JSON in UTF-8", json.dumps(value, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass")
    yield "HTML", html.escape(value).encode("utf-8", "surrogatepass")
    yield "Markdown", escape(value).encode("utf-8", "surrogatepass")
    yield "backslashes", re.sub(r"([^\w\s])", r"\\\1", value).encode("utf-8", "surrogatepass")
    yield "UTF-16", value.encode("utf-16-le", "surrogatepass")


def base64_core(plain: bytes, start: int) -> bytes:
    """What base64 makes of `plain` behind `start` other bytes (modulo 3), without the characters that its neighbours decide too."""
    encoded = base64.b64encode(b"\0" * start + plain)
    first = -(-start * 8 // 6)
    whole = (start + len(plain)) * 8 // 6
    return encoded[first:whole]


def squeezed(data: bytes) -> bytes:
    """Letters and digits only: what was split over lines, quoted, or drawn apart by what nobody sees is together again."""
    return _UNSEEN.sub(b"", data).translate(None, _DELETED)


class _Search:
    """Looks for many needles in one pass over a chunk: four bytes of each needle, at each alignment, are looked up in a set first."""

    def __init__(self, needles: Iterable[tuple[bytes, str]]) -> None:
        self._by_word: dict[int, set[tuple[bytes, str]]] = {}
        for needle, label in needles:
            if len(needle) < _SHORTEST:
                continue
            for alignment in range(4):
                words = [(at, needle[at : at + 4]) for at in range(alignment, len(needle) - 3, 4)]
                word = max(words, key=lambda one: (len(set(one[1]) - _DULL), one[0]))[1]
                self._by_word.setdefault(int.from_bytes(word, "little"), set()).add((needle, label))
        self._words = frozenset(self._by_word)

    def __call__(self, chunk: bytes) -> set[str]:
        present = self._words.intersection(array("I", chunk[: len(chunk) & ~3]))
        return {label for word in present for needle, label in self._by_word[word] if needle in chunk}


_DULL = frozenset(string.ascii_lowercase.encode() + b"0A=%\\&;#-\x00\n")


class Finder:
    """Finds canaries in bytes."""

    def __init__(self, made: Collection[Canary]) -> None:
        raw, tight = [], []
        for canary in made:
            for form, needle in _forms(canary.value):
                label = f"{canary.name} ({canary.kind}) as {form}"
                raw.append((_middle(needle), label))
                if len(squeezed(needle)) >= 12 and form != "UTF-16":
                    tight.append((_middle(squeezed(needle)), f"{label}, split"))
        self._raw, self._tight = _Search(raw), _Search(tight)

    def __call__(self, data: bytes, depth: int = 2) -> set[str]:
        """What of the canaries is in `data`, also compressed."""
        found: set[str] = set()
        for start in range(0, max(len(data), 1), _CHUNK):
            chunk = data[start : start + _CHUNK + _OVERLAP]
            found |= self._raw(chunk) or self._tight(squeezed(chunk))
        if depth:
            for inner in _compressed(data):
                found |= {f"{label}, compressed" for label in self(inner, depth - 1)}
            for match in _HEX.finditer(data):
                found |= self(binascii.unhexlify(match[1][: len(match[1]) & ~1]), depth - 1)
        return found


def _middle(needle: bytes) -> bytes:
    start = max(0, (len(needle) - _LONGEST) // 2)
    return needle[start : start + _LONGEST]


def _compressed(data: bytes) -> Iterator[bytes]:
    """What zlib or gzip streams anywhere in `data` say."""
    for match in _DEFLATED.finditer(data):
        with suppress(zlib.error):
            inner = zlib.decompressobj(47).decompress(data[match.start() : match.start() + (1 << 24)], 1 << 26)
            if len(inner) > _SHORTEST:
                yield inner


def leaks(roots: Sequence[Path], made: Collection[Canary], *, excluding: Collection[Path] = ()) -> list[str]:
    """Where canaries are, one line each: `folder/file: canary-007 (github-token) as base64`; a value itself is never said.

    Args:
        roots: files and folders; names of files count as content too. Links are not followed.
        excluding: files and folders that are not looked into: the repository's own mirror, sources of the test itself.
    """
    find = Finder(made)
    found = []
    for path in _files(roots, frozenset(path.resolve() for path in excluding)):
        places = {f"{path}: {label}" for label in _in_file(path, find)}
        places |= {f"{path}: {label}, in its name" for label in find(path.name.encode("utf-8", "surrogateescape"))}
        found += sorted(places)
    return found


def _files(roots: Iterable[Path], excluding: frozenset[Path]) -> Iterator[Path]:
    for root in roots:
        if root.is_symlink() or root.resolve() in excluding:
            continue
        if root.is_dir():
            yield from _files(sorted(root.iterdir()), excluding)
        elif root.is_file():
            yield root


def _in_file(path: Path, find: Finder) -> Iterator[str]:
    with suppress(FileNotFoundError):
        data = path.read_bytes()
        yield from find(data)
        if data.startswith(b"SQLite format 3\0"):
            yield from _in_database(path, find)


def _in_database(path: Path, find: Finder) -> Iterator[str]:
    """Row by row: a long value is spread over pages that need not be neighbours. A copy is read, so that nothing is changed."""
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("", "-wal"):
            with suppress(FileNotFoundError):
                shutil.copyfile(f"{path}{suffix}", Path(folder) / f"copy{suffix}")
        with closing(sqlite3.connect(Path(folder) / "copy")) as connection:
            connection.text_factory = bytes
            tables = [name.decode() for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:
                columns = [column[1].decode() for column in connection.execute(f'PRAGMA table_info("{table}")')]
                for row in connection.execute(f'SELECT * FROM "{table}"'):
                    for column, value in zip(columns, row, strict=True):
                        if isinstance(value, bytes):
                            yield from (f"{label}, in {table}.{column}" for label in find(value))
