"""Outgoing HTTP that cannot be turned against the network it is in.

Addresses come from payloads, policies and redirects, so a name may point to the machine itself, to a cloud's metadata service or to a
neighbour. The name is looked up here, each address is checked, and the connection goes to exactly the address that was checked: a second
look-up could answer otherwise (DNS rebinding). No redirect is followed, no answer is larger than its limit, also when it was packed, and
no answer takes longer than its time.

Through a proxy (see `outward`) names are looked up there, where nobody checks the address: only hosts that the operator configured go that
way, and every other one is refused while a proxy is set for it.
"""

from __future__ import annotations

import asyncio
import socket
import time
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

import httpx

from pipeline.sandbox.outward import proxy_for, tls

MAX_BODY = 10_000_000
"""Bytes of an answer, unpacked."""
TOTAL = 30.0
"""Seconds from the request to the last byte of the answer."""
TIMEOUT = httpx.Timeout(10.0, connect=3.0)
"""Seconds for each step: 3 to connect, 10 for each read, write and wait for a free connection."""

_LIMITS = httpx.Limits(max_connections=20, max_keepalive_connections=10, keepalive_expiry=30.0)
_NAT64 = IPv6Network("64:ff9b::/96")
"""RFC 6052: an IPv4 address in the last 32 bits, the way to it in a network that has IPv6 only."""


class AddressRefused(httpx.ConnectError):
    """The address is not one that we connect to: not global, a scheme of its own, or no address at all."""


class BodyTooLarge(httpx.ReadError):
    """The answer is larger than its limit."""


class TookTooLong(httpx.ReadTimeout):
    """The answer as a whole did not arrive in time."""


@dataclass(frozen=True, slots=True)
class _Guard:
    """Which addresses may be connected to."""

    allowed: frozenset[tuple[str, int | None]]

    @staticmethod
    def of(allow: Sequence[str]) -> _Guard:
        """From hosts, `host:port` or URLs that the operator configured."""
        found = set()
        for entry in allow:
            parts = urlsplit(entry if "//" in entry else f"//{entry}")
            if parts.hostname:
                found.add((parts.hostname.lower(), parts.port))
        return _Guard(frozenset(found))

    def trusts(self, url: httpx.URL) -> bool:
        """True for a host that the operator configured himself."""
        host = url.host.lower()
        port = url.port or (443 if url.scheme == "https" else 80)
        return (host, None) in self.allowed or (host, port) in self.allowed

    def check_url(self, request: httpx.Request) -> None:
        """https everywhere, http only where the operator says so. Raises AddressRefused."""
        url = request.url
        if not url.host or url.scheme not in ("https", "http") or (url.scheme == "http" and not self.trusts(url)):
            raise AddressRefused(f"{url.scheme}://{url.host} is not an address that we connect to", request=request)

    def check_proxied(self, request: httpx.Request) -> None:
        """Raises AddressRefused for a host that the operator did not configure: its address would be the proxy's choice."""
        if not self.trusts(request.url):
            raise AddressRefused(f"{request.url.host} was not configured, so it is not asked for through a proxy", request=request)

    def choose(self, request: httpx.Request, found: Sequence[str]) -> list[str]:
        """Those of the addresses that may be connected to, IPv4 first. Raises AddressRefused when there is none."""
        good = [address for address in dict.fromkeys(found) if self.trusts(request.url) or is_public(address)]
        if not good:
            raise AddressRefused(f"{request.url.host} does not lead to a public address", request=request)
        return sorted(good, key=lambda address: ":" in address)


def is_public(address: str) -> bool:
    """True for an address of the Internet: neither private, loopback, link-local, shared, multicast nor reserved, nor one of those inside
    an IPv6 address (mapped, 6to4, Teredo, NAT64). Source: IANA special-purpose registries, through `ipaddress`."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is None and found in _NAT64:
            inner = IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None and not is_public(str(inner)):
            return False
        if found.ipv4_mapped is not None or found in _NAT64:
            return True
    return found.is_global and not found.is_multicast and not found.is_reserved


def client(*, allow: Sequence[str] = (), timeout: httpx.Timeout = TIMEOUT, total: float = TOTAL, max_body: int = MAX_BODY) -> httpx.Client:
    """A guarded client.

    Args:
        allow: hosts (`ghe.example.org`, `127.0.0.1:8080`, or a URL) that the operator configured: they may be in a private network
            and may speak plain http.
        timeout: seconds for each step.
        total: seconds for an answer as a whole, looked at whenever something arrives.
        max_body: bytes of an answer.

    Its requests raise httpx's errors; of ours AddressRefused, BodyTooLarge and TookTooLong, which are subclasses of them.
    """
    transport = _Transport(_Guard.of(allow), total, max_body)
    return httpx.Client(transport=transport, timeout=timeout, follow_redirects=False, headers=_HEADERS)


def async_client(
    *, allow: Sequence[str] = (), timeout: httpx.Timeout = TIMEOUT, total: float = TOTAL, max_body: int = MAX_BODY
) -> httpx.AsyncClient:
    """As `client`, for asyncio."""
    transport = _AsyncTransport(_Guard.of(allow), total, max_body)
    return httpx.AsyncClient(transport=transport, timeout=timeout, follow_redirects=False, headers=_HEADERS)


_HEADERS = {"accept-encoding": "gzip", "user-agent": "fixwright"}


def _pinned(request: httpx.Request, address: str) -> httpx.Request:
    """The same request to exactly this address; name, certificate check and Host header stay those of the host."""
    extensions = {**request.extensions, "sni_hostname": request.url.host}
    return httpx.Request(
        request.method, request.url.copy_with(host=address), headers=request.headers, stream=request.stream, extensions=extensions
    )


class _Bounded:
    """Counts and unpacks the body of one answer."""

    def __init__(self, response: httpx.Response, request: httpx.Request, deadline: float, limit: int) -> None:
        self.request, self.deadline, self.left = request, deadline, limit
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "", "gzip", "x-gzip"):
            raise httpx.DecodingError(f"an answer packed as {encoding[:20]!r} was not asked for", request=request)
        declared = response.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            raise BodyTooLarge(f"the answer has {declared} bytes, more than {limit}", request=request)
        self.unpack = zlib.decompressobj(16 + zlib.MAX_WBITS) if "gzip" in encoding else None

    def take(self, chunk: bytes) -> bytes:
        """The chunk as the caller sees it. Raises BodyTooLarge, TookTooLong, httpx.DecodingError."""
        if time.monotonic() > self.deadline:
            raise TookTooLong("the answer did not arrive in time", request=self.request)
        if self.unpack is not None:
            try:
                chunk = self.unpack.decompress(chunk, self.left + 1)
            except zlib.error as error:
                raise httpx.DecodingError(f"the answer cannot be unpacked: {error}", request=self.request) from error
        self.left -= len(chunk)
        if self.left < 0:
            raise BodyTooLarge("the answer is too large", request=self.request)
        return chunk


def _headers_unpacked(response: httpx.Response) -> list[tuple[bytes, bytes]]:
    """Headers that fit the unpacked body."""
    if "content-encoding" not in response.headers:
        return response.headers.raw
    return [(name, value) for name, value in response.headers.raw if name.lower() not in (b"content-encoding", b"content-length")]


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, bounded: _Bounded) -> None:
        self._stream, self._bounded = stream, bounded

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            yield self._bounded.take(chunk)

    def close(self) -> None:
        self._stream.close()


class _AsyncBody(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, bounded: _Bounded) -> None:
        self._stream, self._bounded = stream, bounded

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            yield self._bounded.take(chunk)

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Transport(httpx.BaseTransport):
    """One pool of connections a host: two hosts at one address must never share a connection, whose certificate names one of them."""

    def __init__(self, guard: _Guard, total: float, max_body: int) -> None:
        self._guard, self._total, self._max_body = guard, total, max_body
        self._pools: dict[tuple[str, str], httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        deadline = time.monotonic() + self._total
        self._guard.check_url(request)
        response = self._answer(request, deadline)
        stream = response.stream
        try:
            bounded = _Bounded(response, request, deadline, self._max_body)
        except httpx.HTTPError:
            response.close()
            raise
        if not isinstance(stream, httpx.SyncByteStream):
            raise TypeError("an HTTPTransport answers with a SyncByteStream")
        return httpx.Response(
            response.status_code, headers=_headers_unpacked(response), stream=_Body(stream, bounded), extensions=response.extensions
        )

    def _answer(self, request: httpx.Request, deadline: float) -> httpx.Response:
        proxy = proxy_for(str(request.url))
        pool = self._pools.get((request.url.host, proxy))
        if pool is None:
            made = httpx.HTTPTransport(limits=_LIMITS, verify=tls(), proxy=_proxy(proxy))
            pool = self._pools[request.url.host, proxy] = made
        if proxy:
            self._guard.check_proxied(request)
            return pool.handle_request(request)
        addresses = self._guard.choose(request, _looked_up(request))
        for address in addresses[:-1]:
            try:
                return pool.handle_request(_pinned(request, address))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if time.monotonic() > deadline:
                    raise
        return pool.handle_request(_pinned(request, addresses[-1]))

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()


class _AsyncTransport(httpx.AsyncBaseTransport):
    """As `_Transport`, for asyncio. The head of an answer, too, is bounded in time."""

    def __init__(self, guard: _Guard, total: float, max_body: int) -> None:
        self._guard, self._total, self._max_body = guard, total, max_body
        self._pools: dict[tuple[str, str], httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        deadline = time.monotonic() + self._total
        self._guard.check_url(request)
        try:
            async with asyncio.timeout(self._total):
                response = await self._answer(request)
        except TimeoutError as error:
            raise TookTooLong("there was no answer in time", request=request) from error
        stream = response.stream
        try:
            bounded = _Bounded(response, request, deadline, self._max_body)
        except httpx.HTTPError:
            await response.aclose()
            raise
        if not isinstance(stream, httpx.AsyncByteStream):
            raise TypeError("an AsyncHTTPTransport answers with an AsyncByteStream")
        return httpx.Response(
            response.status_code, headers=_headers_unpacked(response), stream=_AsyncBody(stream, bounded), extensions=response.extensions
        )

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        proxy = proxy_for(str(request.url))
        pool = self._pools.get((request.url.host, proxy))
        if pool is None:
            made = httpx.AsyncHTTPTransport(limits=_LIMITS, verify=tls(), proxy=_proxy(proxy))
            pool = self._pools[request.url.host, proxy] = made
        if proxy:
            self._guard.check_proxied(request)
            return await pool.handle_async_request(request)
        addresses = self._guard.choose(request, await asyncio.to_thread(_looked_up, request))
        for address in addresses[:-1]:
            try:
                return await pool.handle_async_request(_pinned(request, address))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await pool.handle_async_request(_pinned(request, addresses[-1]))

    async def aclose(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()


def _proxy(url: str) -> httpx.Proxy | None:
    return httpx.Proxy(url, ssl_context=tls() if url.startswith("https") else None) if url else None


def _looked_up(request: httpx.Request) -> list[str]:
    """Addresses of the request's host, as the system's resolver answers now."""
    url = request.url
    port = url.port or (443 if url.scheme == "https" else 80)  # by number: a small machine has no /etc/services to look "https" up in
    try:
        answers = socket.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpx.ConnectError(f"{url.host} is not known: {error}", request=request) from error
    return [str(answer[4][0]) for answer in answers]
