"""Whether an address leads to the machine itself, and which address of a host our secrets may be sent to."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from pipeline.errors import NotConfigured


def is_loopback(host: str) -> bool:
    """True for a host that is this machine and no other: an address of loopback (RFC 1122 3.2.1.3, RFC 4291 2.5.3), or `localhost`.

    Names below `localhost` are none here: not every resolver keeps them at home (RFC 6761 6.3 only asks for it).
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def split_address(url: str) -> SplitResult | None:
    """The parts of a web address, None for what is none: another scheme, no host, a port that is no number."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for a port that is no number
    except ValueError:
        return None
    return parts if parts.scheme in ("https", "http") and parts.hostname else None


def refuse_plain(parts: SplitResult, *, named: str, what: str, setting: str) -> None:
    """Raise NotConfigured for an address over http to another machine.

    Args:
        named: who is asked there, for people: `GitLab`.
        what: would travel in clear.
        setting: the variable that holds the address.
    """
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise NotConfigured(
            f"{named} at {parts.hostname} is asked over http: {what} would travel in clear",
            hint=f"set {setting} to https://{parts.netloc}{parts.path}; http is only for this machine itself",
        )
