"""python-gitlab over one `requests` session that talks to one GitLab and to nobody else. The only module that imports both at run time:
they take a tenth of a second to load, which processes that make no call do not pay (`providers.gitlab.client`).

A guard of its own beside `pipeline.sandbox.net`, which is written for httpx: here the host is always the operator's own choice and may lie
in his network, so what is guarded is the origin. Proxies and authorities are those of `pipeline.sandbox.outward`, as everywhere.
"""

from __future__ import annotations

import io
import re
import socket
import time
from collections.abc import Callable, Generator, Mapping
from email.utils import parsedate_to_datetime
from functools import partial
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import requests
from gitlab import Gitlab
from gitlab.base import RESTObject
from gitlab.exceptions import GitlabError, RedirectError
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from pipeline.errors import HostGarbage, HostUnavailable
from pipeline.fence import before_a_write
from pipeline.sandbox.net import MAX_BODY
from pipeline.sandbox.outward import proxy_for, tls
from pipeline.tally import TALLY
from providers.gitlab.failures import failure

if TYPE_CHECKING:
    from requests.models import PreparedRequest, Response

USER_AGENT = "fixwright"
READS = ("GET", "HEAD")
"""Requests that change nothing."""
CONNECT, READ = 5.0, 30.0
"""Seconds: to connect, and for each wait for more of an answer."""
TOTAL = 60.0
"""Seconds for an answer, from its first byte to its last."""
MAX_REDIRECTS = 3
MAX_CALLS = 120
"""Requests for one list: pages of 100 up to where GitLab stops counting, and no more where each names a next one."""
CHUNK = 64 * 1024
"""Bytes of an answer that are looked at together."""
_Result = TypeVar("_Result")


class AnotherServer(requests.RequestException):
    """GitLab named an address elsewhere, for a redirect or for the next page: our token does not go there."""


class BodyTooLarge(requests.RequestException):
    """The answer is larger than `MAX_BODY`, packed or unpacked."""


class Endless(requests.RequestException):
    """A list has more than `MAX_CALLS` pages."""


class Seen:
    """What the answers of one thread told, the newest last."""

    def __init__(self) -> None:
        self.headers: Mapping[str, str] = {}
        """Of the newest answer; a mapping that does not care for capitals."""
        self.skew = 0.0
        """Seconds by which the host's clock is ahead of ours, as of its last answer."""

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """Remember an answer, and count it for the metrics."""
        self.headers = headers
        TALLY.add("fixwright_host_calls_total", provider="gitlab", status=str(status))
        resource, left = headers.get("ratelimit-name", "api"), headers.get("ratelimit-remaining", "")
        if re.fullmatch(r"[a-z_]{1,40}", resource) and re.fullmatch(r"[0-9]{1,9}", left):
            TALLY.latest("fixwright_host_rate_limit_remaining", float(left), provider="gitlab", resource=resource)
        try:
            self.skew = parsedate_to_datetime(headers.get("date", "")).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return


class _Timed(io.RawIOBase):
    """What arrives on a socket, for so long and no longer: a socket's own limit begins anew with every byte."""

    def __init__(self, sock: socket.socket, total: float) -> None:
        super().__init__()
        self._socket, self._raw, self._deadline = sock, sock.makefile("rb", 0), time.monotonic() + total

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int | None:  # the library's own word for a buffer
        """The next bytes. Raises TimeoutError."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer as a whole did not arrive in time")
        self._socket.settimeout(min(READ, left))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """As any file of a socket: the socket itself stays open."""
        self._raw.close()
        super().close()


class _Answer(HTTPResponse):
    """An answer whose head and body arrive within `total` seconds together."""

    def __init__(self, sock: socket.socket, *args: Any, total: float, **kwargs: Any) -> None:  # as in HTTPResponse
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_Timed(sock, total))


def _pools(total: float) -> dict[str, type[HTTPConnectionPool]]:
    """Kinds of connections on which answers are so bounded, by scheme."""
    answer = partial(_Answer, total=total)
    plain = type("Plain", (HTTPConnection,), {"response_class": answer})
    secure = type("Secure", (HTTPSConnection,), {"response_class": answer})
    return {
        "http": type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
    }


class _Body:
    """The body of one answer as `requests` reads it, bounded in size."""

    def __init__(self, raw: Any, request: PreparedRequest) -> None:  # urllib3's answer, which requests calls Any itself
        self._raw, self._request = raw, request

    def stream(self, amt: int = CHUNK, decode_content: bool | None = None) -> Generator[bytes, None, None]:
        """Its chunks. Raises BodyTooLarge."""
        left = MAX_BODY
        for chunk in self._raw.stream(min(amt, CHUNK), decode_content=decode_content):
            left -= len(chunk)
            if left < 0:
                self._raw.close()
                raise BodyTooLarge(f"the answer has more than {MAX_BODY:,} bytes", request=self._request)
            yield chunk

    def __getattr__(self, name: str) -> Any:  # everything else is urllib3's
        return getattr(self._raw, name)


class Guarded(HTTPAdapter):
    """Talks to one origin: with the operator's proxies and authorities, and with bounds for what comes back.

    Args:
        total: seconds for an answer.
    """

    def __init__(self, origin: str, seen: Seen, total: float = TOTAL) -> None:
        super().__init__(pool_connections=2, pool_maxsize=1)
        self._origin, self._seen, self._pools = origin, seen, _pools(total)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,  # the signature of HTTPAdapter; its settings are not asked
        timeout: object = None,
        verify: object = True,
        cert: object = None,
        proxies: object = None,
    ) -> Response:
        """One request. Raises `requests.RequestException`; of ours only what `before_a_write` raises."""
        url = str(request.url)
        parts = urlsplit(url)
        if f"{parts.scheme}://{parts.netloc}" != self._origin:
            raise AnotherServer(f"{parts.scheme}://{parts.netloc[:200]} is not {self._origin}", request=request)
        proxy = proxy_for(url)
        if request.method not in READS:
            before_a_write()
        try:
            response = super().send(
                request, stream=True, timeout=(CONNECT, READ), verify=True, proxies={parts.scheme: proxy} if proxy else None
            )
        except requests.RequestException:
            TALLY.add("fixwright_host_calls_total", provider="gitlab", status="none")
            raise
        self._seen.answered(response.status_code, response.headers)
        response.raw = _Body(response.raw, request)
        return response

    def build_connection_pool_key_attributes(self, request: PreparedRequest, verify: Any, cert: Any = None) -> Any:  # as in HTTPAdapter
        """Connections trust what the operator trusts, and not what `requests` brings along."""
        host, kept = super().build_connection_pool_key_attributes(request, verify, cert)
        if host["scheme"] == "https":
            kept["ssl_context"] = tls()
        return host, kept

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:  # as in HTTPAdapter
        """Always against `tls()`: HTTPAdapter would add its own list of authorities."""
        conn.cert_reqs = "CERT_REQUIRED"

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:  # as in HTTPAdapter
        """A proxy that speaks TLS itself is trusted by the same authorities."""
        if proxy.startswith("https:"):
            proxy_kwargs.setdefault("proxy_ssl_context", tls())
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager


class _Refusing(HTTPAdapter):
    """For every address that is not GitLab's."""

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:  # as in HTTPAdapter
        """Raises AnotherServer."""
        parts = urlsplit(str(request.url))
        raise AnotherServer(f"{parts.scheme}://{parts.netloc[:200]} is not GitLab", request=request)


class Session(requests.Session):
    """One that takes nothing from the environment (`.netrc`, proxies, authorities), and keeps no cookies."""

    def __init__(self, adapter: BaseAdapter, origin: str) -> None:
        super().__init__()
        self.trust_env = False
        self.max_redirects = MAX_REDIRECTS
        self.adapters.clear()
        self.mount("", _Refusing())
        self.mount(f"{origin}/", adapter)
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers = CaseInsensitiveDict({"accept": "application/json", "accept-encoding": "gzip", "connection": "keep-alive"})


class Line(Gitlab):
    """python-gitlab as one thread uses it. It neither waits nor tries again by itself: `Limits` decides that for all processes."""

    def __init__(self, web_url: str, token: str, session: requests.Session, seen: Seen) -> None:
        super().__init__(
            web_url,
            private_token=token,
            user_agent=USER_AGENT,
            per_page=100,
            retry_transient_errors=False,
            keep_base_url=True,  # GitLab may name itself otherwise in its links than the operator calls it
            session=session,
        )
        self.seen = seen
        self.calls = 0
        """Since `ask` began."""

    def http_request(self, verb: str, path: str, *args: Any, **kwargs: Any) -> requests.Response:  # what python-gitlab's own takes
        """See `Gitlab.http_request`. Raises Endless."""
        self.calls += 1
        if self.calls > MAX_CALLS:
            raise Endless(f"{MAX_CALLS} pages and still no end")
        return super().http_request(verb, path, *args, **{**kwargs, "obey_rate_limit": False, "max_retries": 0})


def open_line(web_url: str, origin: str, token: str, *, total: float = TOTAL) -> Line:
    """A new connection. Nothing is asked yet."""
    seen = Seen()
    return Line(web_url, token, Session(Guarded(origin, seen, total), origin), seen)


def ask(line: Line, call: Callable[[Line], _Result], what: str) -> _Result:
    """Do `call`, with every way in which it can fail as a `HostError`. `what`: what is asked for, for people."""
    line.seen.headers, line.calls = {}, 0
    try:
        return call(line)
    except AnotherServer as exc:
        raise HostGarbage(
            f"GitLab sent us to another server for {what}: {_cause(exc)}", hint="set FIXWRIGHT_GITLAB_URL to the address that GitLab names"
        ) from None
    except BodyTooLarge as exc:
        raise HostGarbage(f"GitLab's answer to {what} is too large: {_cause(exc)}") from None
    except Endless as exc:
        raise HostGarbage(f"GitLab's answer to {what} does not end: {_cause(exc)}") from None
    except requests.TooManyRedirects:
        raise HostGarbage(f"GitLab sent us on and on for {what}") from None
    except RedirectError:
        raise HostGarbage(
            f"GitLab sent us elsewhere for {what}, where a write would be a read", hint="set FIXWRIGHT_GITLAB_URL to the address it uses"
        ) from None
    except requests.exceptions.JSONDecodeError as exc:
        raise HostGarbage(f"GitLab's answer to {what} is no JSON") from exc
    except (requests.RequestException, HTTPError, OSError) as exc:
        raise HostUnavailable(f"GitLab did not answer {what}: {type(exc).__name__}") from exc
    except GitlabError as exc:
        if exc.response_code is None:  # it answered 2xx, with what python-gitlab cannot read
            raise HostGarbage(f"GitLab's answer to {what} cannot be read: {type(exc).__name__}") from None
        body = exc.response_body if isinstance(exc.response_body, bytes) else b""
        raise failure(exc.response_code, line.seen.headers, body, what=what) from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as exc:
        raise HostGarbage(f"GitLab's answer to {what} cannot be read: {type(exc).__name__}") from exc


def plain(found: object) -> object:
    """What an object of python-gitlab holds of GitLab's answer."""
    return found.asdict() if isinstance(found, RESTObject) else found


def _cause(exc: Exception) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in str(exc)[:400]).split())
