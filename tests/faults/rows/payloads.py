"""What strangers and broken senders post: rows 33 and 34. None of it is answered with 500, fills memory or makes others wait."""

from __future__ import annotations

import contextlib
import copy
import gzip
import json
import random
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import httpx
from sqlalchemy import func, select

from bot.webhooks import BODY_SECONDS
from pipeline.store.tables import deliveries
from tests.faults.hosts import Delivery as AnyDelivery
from tests.faults.matrix import EVERY, Run, fault
from tests.faults.meters import Memory, Visitors, again_as_new, p99, send
from tests.faults.stand import Stand
from tests.worlds.github.hooks import Delivery, sign

MB = 1 << 20
MOST_GROWN = 96 * MB
"""For a body of 25 MB: as it came, as it is read, and as it is written down."""
QUIET_SECONDS, FLOOR, TRIES = 3.0, 0.25, 3
"""How long is looked at the time without an attack; what is quick enough whatever it was before; and how often it is tried, as what an
attack costs the others costs them each time, and what else happens on this machine does not."""
PATIENCE = BODY_SECONDS + 10


@dataclass(frozen=True, slots=True)
class Post:
    """A request as bytes: its head, and its body piece by piece."""

    head: bytes
    body: Iterator[bytes]


def _signed(stand: Stand, delivery: Delivery, body: bytes) -> Delivery:
    """Another body under a new identity, signed as it should be."""
    fresh = again_as_new(delivery)
    return replace(fresh, body=body, headers=fresh.headers | {"X-Hub-Signature-256": sign(stand.world.webhook_secret, body)})


def _head(stand: Stand, delivery: Delivery, *more: str) -> bytes:
    lines = ["POST /webhooks/github HTTP/1.1", f"Host: {urlsplit(stand.url).netloc}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in delivery.headers.items()]
    return "\r\n".join([*lines, *more, "", ""]).encode()


def _post(stand: Stand, post: Post) -> int:
    """The status of the answer; 0 when the connection was cut without one."""
    url = urlsplit(stand.url)
    with socket.create_connection((url.hostname, url.port), PATIENCE) as connection:
        connection.settimeout(PATIENCE)
        answered = b""
        with contextlib.suppress(ConnectionError, BrokenPipeError, TimeoutError):
            connection.sendall(post.head)
            for piece in post.body:
                if answered := _said(connection):
                    break
                connection.sendall(piece)
        with contextlib.suppress(ConnectionError, TimeoutError):
            answered = answered or connection.recv(4_096)
    return int(answered.split()[1]) if answered.startswith(b"HTTP/1.1 ") else 0


def _said(connection: socket.socket) -> bytes:
    """What has been answered by now."""
    connection.setblocking(False)
    try:
        return connection.recv(4_096)
    except BlockingIOError:
        return b""
    finally:
        connection.settimeout(PATIENCE)


def _large(stand: Stand, delivery: Delivery, size: int) -> Post:
    padding = b'{"padding":"' + b"x" * (size - len(delivery.body) - 20) + b'",'
    body = padding + delivery.body[1:]
    signed = _signed(stand, delivery, body)
    return Post(_head(stand, signed, f"Content-Length: {len(body)}"), (body[at : at + MB] for at in range(0, len(body), MB)))


def _endless(stand: Stand, delivery: Delivery) -> Post:
    chunk = b"100000\r\n" + b" " * MB + b"\r\n"
    return Post(_head(stand, delivery, "Transfer-Encoding: chunked"), (chunk for _ in range(1_000)))


def _slow(pieces: int) -> Iterator[bytes]:
    for _ in range(pieces):
        time.sleep(1)
        yield b"x"


def _drops(stand: Stand, delivery: Delivery) -> Post:
    return Post(_head(stand, delivery, "Content-Length: 100000"), _slow(120))


def _drops_of_head(stand: Stand, delivery: Delivery) -> Post:
    return Post(_head(stand, delivery)[:-2] + b"X-Slow: ", _slow(120))


def _headers(stand: Stand, delivery: Delivery) -> Post:
    head = _head(stand, delivery, *(f"X-{number}: {number}" for number in range(10_000)), f"Content-Length: {len(delivery.body)}")
    return Post(head, iter([delivery.body]))


def _one_header(stand: Stand, delivery: Delivery) -> Post:
    return Post(_head(stand, delivery)[:-2] + b"X-Long: ", (b"y" * 65_536 for _ in range(4_000)))


def _compressed(stand: Stand, delivery: Delivery) -> Post:
    body = gzip.compress(b" " * 200 * MB, 1)
    signed = _signed(stand, delivery, body)
    return Post(_head(stand, signed, "Content-Encoding: gzip", f"Content-Length: {len(body)}"), iter([body]))


ATTACKS: dict[str, tuple[Callable[[Stand, Delivery], Post], tuple[int, ...]]] = {
    "25 MB": (lambda stand, delivery: _large(stand, delivery, 25 * 1_000_000), (202,)),
    "30 MB": (lambda stand, delivery: _large(stand, delivery, 30 * MB), (413,)),
    "chunked without end": (_endless, (413,)),
    "one byte a second": (_drops, (400, 408)),
    "one byte of a header a second": (_drops_of_head, (408,)),
    "10,000 headers": (_headers, (400, 431)),
    "a header without end": (_one_header, (400, 431)),
    "compressed": (_compressed, (400, 413, 415)),
}
"""What is sent, and what may be answered. GitHub itself sends up to 25 MB, so that is taken."""


@fault(33, "a body or a head that is too much", steps=tuple(ATTACKS))
def too_much(run: Run) -> None:
    stand, (attack, answers) = run.stand, ATTACKS[run.step]
    (*_, earlier) = stand.world.hooks.of("pull_request", "opened")
    life = run.begin()
    slow = [_slowed(stand, attack(stand, earlier), answers)]
    while slow[-1] and len(slow) < TRIES:
        slow.append(_slowed(stand, attack(stand, earlier), answers))
    assert not slow[-1], slow
    stand.wait("anything else to go on", lambda: life.checks)
    run.cured()


def _slowed(stand: Stand, post: Post, answers: Sequence[int]) -> str:
    """Attack once: what the others say of it, empty when they have nothing to say."""
    with Visitors(stand) as before:
        time.sleep(QUIET_SECONDS)
    with Memory([stand.parts["web"].pid]) as memory, Visitors(stand) as visitors:
        status = _post(stand, post)
        time.sleep(QUIET_SECONDS)
    assert status in answers, f"answered {status}, expected one of {answers}"
    assert memory.grew < MOST_GROWN, f"the web process grew by {memory.grew / MB:.0f} MB"
    assert not visitors.refused, f"others were refused with {visitors.refused}"
    quiet, loud = p99(before.answers), p99(visitors.answers)
    return "" if loud < max(2 * quiet, FLOOR) else f"99 of 100 others within {loud:.3f} s, without it within {quiet:.3f} s"


# --- row 34 -----------------------------------------------------------------------------------------------------------------------------

DEEP = 100_000
WHOLE: dict[str, bytes] = {
    "arrays in each other": b"[" * DEEP + b"]" * DEEP,
    "objects in each other": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep below a field": b'{"action":"opened","pull_request":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}",
    "never closed": b'{"action":' + b"[" * DEEP,
    "nothing": b"",
    "null": b"null",
    "an array": b"[]",
    "a number": b"1e400",
    "no number": b'{"action":NaN}',
    "not UTF-8": b'{"action":"\xff\xfe"}',
    "UTF-16": '{"action":"opened"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"action":"opened"}',
    "two documents": b"{}{}",
    "a lone surrogate": b'{"action":"\\ud800"}',
    "a million keys": b"{" + b",".join(b'"k%d":1' % number for number in range(1_000_000)) + b"}",
    "the same key a thousand times": b"{" + b",".join([b'"action":"opened"'] * 1_000) + b"}",
}
ODD: tuple[object, ...] = (
    None,
    "\x00",
    "\ud800",
    2**70,
    -1,
    1e308,
    True,
    [],
    {},
    [[[]]],
    "x" * 300_000,
    "../../x\r\ny: z",
    "\u202e<script>",
)
"""What is put in the place of a value."""
MUTANTS = 60
WRITTEN = 30.0
"""Seconds within which what was taken into a file, because the database had too much to do, is written down."""


def places(value: object, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to everything in a document."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield (*at, key)
        yield from places(inner, (*at, key))


def mutants(payload: object, chance: random.Random, count: int) -> Iterator[tuple[str, bytes]]:
    """Copies of a payload with one value replaced, or one key given twice."""
    ways = list(places(payload))
    for _ in range(count):
        way, odd = chance.choice(ways), chance.choice(ODD)
        made = copy.deepcopy(payload)
        inside: object = made
        for step in way[:-1]:
            inside = inside[step]  # type: ignore[index]  # `places` went this way
        inside[way[-1]] = odd  # type: ignore[index]  # as above
        yield f"{'.'.join(map(str, way))} = {str(odd)[:20]!r}", json.dumps(made).encode()


def rows_of(stand: Stand) -> int:
    """Deliveries that are written down."""
    with stand.database.read() as work:
        return int(work.transaction.execute(select(func.count()).select_from(deliveries)).scalar_one())


@fault(34, "signed bodies that are no payloads", hosts=EVERY)
def no_payloads(run: Run) -> None:
    stand, host = run.stand, run.stand.host
    samples = [(event, found[-1]) for event, action in host.samples if (found := stand.hooks.of(event, action))]
    assert len(samples) > 2, "too few deliveries to alter"
    bodies: list[tuple[str, AnyDelivery, str, bytes]] = [(host.event, samples[0][1], name, body) for name, body in WHOLE.items()]
    for event, sample in samples:
        bodies += [(event, sample, *one) for one in mutants(sample.payload, run.random, MUTANTS // len(samples))]
    stand.quiet()
    before, answered, bad = rows_of(stand), dict[int, int](), list[str]()
    with httpx.Client(timeout=30, trust_env=False) as client:
        for event, sample, name, body in bodies:
            answer = send(client, stand, host.anew(sample, body))
            answered[answer.status] = answered.get(answer.status, 0) + 1
            if answer.status != 202 and not 400 <= answer.status < 500:
                bad.append(f"{event}: {name}: {answer.status}")
    assert not bad, bad
    assert min(answered.get(202, 0), answered.get(400, 0)) > len(WHOLE) // 2, answered
    stand.wait("a row for each that was taken, and for no other", lambda: rows_of(stand) - before == answered[202], WRITTEN)
    stand.quiet(120)
    run.cured()
    run.begin()
