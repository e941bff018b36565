"""The operator's way out: proxies and certificate authorities, for our HTTP clients and for git alike.

HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY (or in lower case) mean what they mean to curl: curl(1), "ENVIRONMENT".
FIXWRIGHT_CA_BUNDLE names a PEM file of authorities that are trusted besides the public ones. Engines and tests of a repository get none
of it: they have no network.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from pipeline.errors import NotConfigured

CA_BUNDLE = "FIXWRIGHT_CA_BUNDLE"
"""Variable that names the PEM file."""


def proxy_for(url: str, environment: Mapping[str, str] | None = None) -> str:
    """The proxy for an address; empty when it is reached directly.

    Raises:
        NotConfigured: the proxy is not one that speaks HTTP.
    """
    env = os.environ if environment is None else environment
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    # HTTP_PROXY in capitals can be set by a request's header where a program runs as CGI, so curl does not read it; nothing of ours does.
    names = [f"{parts.scheme}_proxy", f"{parts.scheme}_proxy".upper(), "all_proxy", "ALL_PROXY"]
    proxy = next((env[name].strip() for name in names if env.get(name, "").strip()), "")
    if not proxy or _excepted(
        host, parts.port or (443 if parts.scheme == "https" else 80), env.get("no_proxy") or env.get("NO_PROXY") or ""
    ):
        return ""
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if urlsplit(proxy).scheme not in ("http", "https"):
        raise NotConfigured(
            f"the proxy {without_password(proxy)} does not speak HTTP", hint="set HTTPS_PROXY to an address that begins with http://"
        )
    return proxy


def _excepted(host: str, port: int, exceptions: str) -> bool:
    """True when NO_PROXY names the host: itself, a domain above it, an address, a network, or `*`. The machine itself always: no proxy
    elsewhere leads to it."""
    if host == "localhost" or _within(host, "127.0.0.0/8") or _within(host, "::1"):
        return True
    for entry in exceptions.replace(",", " ").split():
        name, _, at = entry.lower().rpartition(":") if entry.count(":") == 1 else (entry.lower(), "", "")
        if at and at != str(port):
            continue
        name = name.removeprefix("*").lstrip(".") if name != "*" else name
        if name == "*" or host == name or host.endswith(f".{name}") or _within(host, name):
            return True
    return False


def _within(host: str, network: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False


def without_password(url: str) -> str:
    """A proxy's address as it may be shown."""
    parts = urlsplit(url)
    name = f"{parts.username}:***@" if parts.username else ""
    return f"{parts.scheme}://{name}{parts.hostname}{f':{parts.port}' if parts.port else ''}"


def ca_bundle(environment: Mapping[str, str] | None = None) -> Path | None:
    """The operator's file of certificate authorities, None when there is none."""
    value = (os.environ if environment is None else environment).get(CA_BUNDLE, "")
    return Path(value).absolute() if value else None


def system_authorities() -> Path | None:
    """The folder in which the system keeps the public authorities, when it has one: git adds a file to it, as we do."""
    folder = Path(ssl.get_default_verify_paths().capath or "/etc/ssl/certs")
    return folder if folder.is_dir() and any(folder.iterdir()) else None


def git_authorities(environment: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """Variables that make git trust what our clients trust (git(1), GIT_SSL_CAINFO; libcurl reads the file and the folder)."""
    env = os.environ if environment is None else environment
    bundle = ca_bundle(env)
    if bundle is None:
        public = env.get("GIT_SSL_CAINFO") or env.get("SSL_CERT_FILE")
        return {"GIT_SSL_CAINFO": public} if public else {}
    folder = system_authorities()
    return {"GIT_SSL_CAINFO": str(bundle)} | ({"GIT_SSL_CAPATH": str(folder)} if folder else {})


def tls(environment: Mapping[str, str] | None = None) -> ssl.SSLContext:
    """What our clients trust: the public authorities (or those in SSL_CERT_FILE, which replaces them), and FIXWRIGHT_CA_BUNDLE besides.

    Raises:
        NotConfigured: a file cannot be read or holds no certificate.
    """
    bundle = ca_bundle(environment)
    return _context(str(bundle or ""), _stamp(bundle))


def _stamp(path: Path | None) -> int:
    """Changes with the file, so that a renewed one is read."""
    try:
        return path.stat().st_mtime_ns if path else 0
    except OSError:
        return 0


@lru_cache(maxsize=4)
def _context(bundle: str, stamp: int) -> ssl.SSLContext:  # noqa: ARG001  # part of the cache's key
    """Loading authorities takes 20 ms; they are the same for every host."""
    try:
        context = httpx.create_ssl_context()
        if bundle:
            context.load_verify_locations(bundle)
    except (OSError, ssl.SSLError) as error:
        raise NotConfigured(
            f"{CA_BUNDLE if bundle else 'SSL_CERT_FILE'} cannot be used ({type(error).__name__})",
            hint="it must be a file of PEM certificates",
        ) from error
    return context
