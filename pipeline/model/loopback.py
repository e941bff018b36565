"""Whether an address leads to the machine itself."""

from __future__ import annotations

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """True for a host that is this machine and no other: an address of loopback (RFC 1122 3.2.1.3, RFC 4291 2.5.3), or `localhost`.

    Names below `localhost` are none here: not every resolver keeps them at home (RFC 6761 6.3 only asks for it).
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
