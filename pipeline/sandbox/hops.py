"""What a diagnosis of any host says of the way there: proxy, authorities, the cause of a failure, and the way from the host to us."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import httpx

from pipeline.model.setup import Diagnosis
from pipeline.sandbox.net import async_client
from pipeline.sandbox.outward import ca_bundle, proxy_for, without_password


def way_out(url: str) -> Iterator[Diagnosis]:
    """The operator's proxy and authorities for an address."""
    proxy = proxy_for(url)
    yield Diagnosis("proxy", without_password(proxy) if proxy else f"none for {urlsplit(url).hostname}")
    bundle = ca_bundle()
    if bundle is None:
        yield Diagnosis("certificates", "the public authorities")
        return
    try:
        ssl.create_default_context(cafile=str(bundle))
    except (OSError, ssl.SSLError) as error:
        yield Diagnosis("certificates", f"FIXWRIGHT_CA_BUNDLE cannot be used: {error}", False, "it must be a file of PEM certificates")
        return
    yield Diagnosis("certificates", f"the public authorities and {bundle}", True)


def first_cause(error: BaseException) -> str:
    """What the network said, in one line: the name is unknown, nobody listens, the certificate is not trusted."""
    causes = [error]
    while (cause := _cause(causes[-1])) is not None and len(causes) < 10:
        causes.append(cause)
    for cause in reversed(causes):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the server's certificate is not trusted: {cause.verify_message}"
    texts = [str(cause) for cause in causes if str(cause)]
    return " ".join((texts[-1] if len(texts) > 1 else str(error)).split())[:300]


def _cause(error: BaseException) -> BaseException | None:
    """What led to it; urllib3 hands some causes on as an argument alone."""
    inside = error.args[0] if error.args and isinstance(error.args[0], BaseException) else None
    return error.__cause__ or error.__context__ or inside


def way_hint(error: BaseException) -> str:
    """What to do about it."""
    if "certificate" in first_cause(error).lower():
        return "set FIXWRIGHT_CA_BUNDLE to the PEM file of the authority that signed it"
    return "check the name, the firewall, HTTPS_PROXY and NO_PROXY"


def deliver(url: str, body: bytes, headers: Mapping[str, str], *, differs: str) -> Diagnosis:
    """A delivery to ourselves, as the host would send it: it proves that what answers there has the same secret.

    Args:
        differs: what is to be said when it has another one: `has another webhook secret`.
    """
    topic, away = "ping", "start it with: fixwright up; a proxy in front of it must pass /webhooks on"
    try:
        status = asyncio.run(_post(url, body, headers))
    except httpx.HTTPError as error:
        return Diagnosis(topic, f"nobody answers at {url} ({type(error).__name__})", False, away)
    if status == 202:
        return Diagnosis(topic, f"a signed delivery was accepted at {url}", True)
    if status == 401:
        return Diagnosis(topic, f"{url} {differs}", False, "restart Fixwright with these settings")
    return Diagnosis(topic, f"{url} answered {status} to a signed delivery", False, away)


async def _post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    host = urlsplit(url).netloc
    async with async_client(allow=(host, url)) as http:
        return (await http.post(url, content=body, headers=dict(headers))).status_code
