"""A way out as companies have it: a proxy that looks names up itself, and a server whose certificate a private authority signed."""

from __future__ import annotations

import contextlib
import datetime
import select
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Address = tuple[str, int]


@dataclass(frozen=True)
class Authority:
    """A private authority with one server's certificate."""

    bundle: Path
    """The authority's own certificate: what an operator names in FIXWRIGHT_CA_BUNDLE."""
    chain: Path
    """Certificate and key of the server."""


def make_authority(folder: Path, host: str) -> Authority:
    """An authority, and a certificate of it for `host`."""
    folder.mkdir(parents=True, exist_ok=True)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A private authority")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    ca = _certificate(ca_name, ca_name, ca_key, ca_key, x509.BasicConstraints(ca=True, path_length=0), critical=True)
    leaf = _certificate(name, ca_name, key, ca_key, x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    bundle, chain = folder / "ca.pem", folder / "server.pem"
    bundle.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    private = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    chain.write_bytes(leaf.public_bytes(serialization.Encoding.PEM) + private)
    return Authority(bundle, chain)


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
    *,
    critical: bool,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(extension, critical)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    return builder.sign(signer, hashes.SHA256())


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextmanager
def _serving(handler: type[socketserver.BaseRequestHandler], port: int = 0) -> Iterator[int]:
    with _Server(("127.0.0.1", port), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def tls_before(upstream: Address, authority: Authority, port: int = 0) -> Iterator[Address]:
    """Ends TLS with the authority's certificate in front of a plain server, on a port of its own unless told otherwise."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.chain)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with (
                contextlib.suppress(OSError),
                context.wrap_socket(self.request, server_side=True) as near,
                socket.create_connection(upstream, 10) as far,
            ):
                _carry(near, far)

    with _serving(Handler, port) as taken:
        yield "127.0.0.1", taken


@dataclass
class Proxy:
    """A running CONNECT proxy."""

    url: str
    asked: list[str] = field(default_factory=list)
    """`host:port` of each tunnel that was asked for."""
    credentials: list[str] = field(default_factory=list)
    """Proxy-Authorization of each, empty when there was none."""


@contextmanager
def connect_proxy(names: Mapping[str, Address]) -> Iterator[Proxy]:
    """A proxy that knows these names only, and where they are."""
    seen = Proxy("")

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            near: socket.socket = self.request
            near.settimeout(10)
            with contextlib.suppress(OSError):
                head = b""
                while b"\r\n\r\n" not in head and len(head) < 8_192:
                    more = near.recv(1)  # not a byte of what follows
                    if not more:
                        return
                    head += more
                lines = head.decode("latin-1").split("\r\n")
                target = lines[0].split(" ")[1]
                headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
                seen.asked.append(target)
                seen.credentials.append(headers.get("proxy-authorization", ""))
                where = names.get(target.partition(":")[0])
                if not lines[0].startswith("CONNECT ") or where is None:
                    near.sendall(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")
                    return
                with socket.create_connection(where, 10) as far:
                    near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    _carry(near, far)

    with _serving(Handler) as port:
        seen.url = f"http://127.0.0.1:{port}"
        yield seen


def _carry(near: socket.socket, far: socket.socket) -> None:
    """Both directions until one side ends, at most a minute of silence."""
    ends = {near: far, far: near}
    while True:
        pending = isinstance(near, ssl.SSLSocket) and near.pending() > 0
        ready = [near] if pending else select.select([near, far], [], [], 60)[0]
        for end in ready:
            data = end.recv(65_536)
            if not data:
                return
            ends[end].sendall(data)
        if not ready:
            return
