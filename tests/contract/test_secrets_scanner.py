"""What the secrets scanner promises beyond the common suite. Every secret here is put together at run time."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path

import pytest

from pipeline.model.finding import Confidence, Severity
from pipeline.scanners.secrets import SCANNER
from tests.contract.scanning import look

pytestmark = pytest.mark.engines

LETTERS = "qT7vX2nB9cR4kL8sM3wZ6yH1jF5gD0pA"
AWS = "AK" + "IA" + "Q3EGWX5RTYUOPLKJ"
AWS_SECRET = "hR8x/Zq2Lw9Tb4Nk7Vc1Jm5Yd3Ps6Gf0Xa+UeIoB"
GITHUB = "gh" + "p_" + "9aB3xK7mQ2vR8tY4wZ6nL1pD5sF0gHjUcEiX"
GITHUB_NEW = "gh" + "s_" + "123456_eyJ" + LETTERS + "." + LETTERS * 10 + "." + LETTERS * 4 + "Zk9w"
STRIPE = "sk_" + "live_" + "8mRy9K3PiBRjf95OdR9WSBN5"
BODY = "MIIEpAIBAAKCAQEA7Zk3vQ9sLm2xTfYbWq8RjHcUoNpD4aGiKeXwVyB1nJrSz5t0"
PEM = (
    "-----BEGIN RSA "
    + "PRIVATE KEY-----\n"
    + "\n".join(BODY[n:] + BODY[:n] for n in range(0, 60, 4))
    + "\n-----END RSA "
    + "PRIVATE KEY-----"
)


@pytest.mark.parametrize(
    ("value", "rule", "kind", "shown"),
    [
        (AWS, "secrets.aws-access-key", "AWS access key", "PLKJ"),
        (GITHUB, "secrets.github-token", "GitHub token", "cEiX"),
        (GITHUB_NEW, "secrets.github-installation-token", "GitHub installation token", "Zk9w"),
        (STRIPE, "secrets.stripe-key", "Stripe key", "SBN5"),
        (PEM, "secrets.private-key", "private key", ""),
    ],
    ids=["aws", "github", "github 2026", "stripe", "pem"],
)
def test_a_lone_secret_is_found(value: str, rule: str, kind: str, shown: str, tmp_path: Path) -> None:
    (finding,) = look(SCANNER, tmp_path / "tree", {"app/config.txt": f"first\nvalue = {value}\nlast\n"}, key=b"k").findings
    assert (finding.rule.id, finding.rule.severity, finding.rule.confidence) == (rule, Severity.HIGH, Confidence.HIGH)
    assert finding.secret is not None
    assert (finding.secret.kind, finding.secret.last_four) == (kind, shown)
    assert (finding.location.line, finding.location.column) == (2, 9)
    assert finding.location.end_line == 2 + value.count("\n")
    assert finding.rule.cwe == 798


def test_the_value_is_nowhere_in_what_leaves(tmp_path: Path) -> None:
    lines = [
        f'a = "{AWS}"  # {AWS}',
        f'b = "{GITHUB}" + "{STRIPE}"',
        f"DB_PASSWORD = 'Tr0ub4dor&3xyz-{LETTERS[:6]}'",
        f'c = "{GITHUB_NEW}"',
        f"d = '''{PEM}'''",
    ]
    seen = look(SCANNER, tmp_path / "tree", {"app/config.py": "\n".join(lines) + "\n"}, key=b"k")
    said = repr(seen.outputs)
    assert len(seen.findings) >= 6
    for value in (AWS, GITHUB, STRIPE, GITHUB_NEW, "Tr0ub4dor&3xyz", *PEM.splitlines()[1:-1]):
        assert value not in said
        assert value[:12] not in said
        assert base64.b64encode(value.encode()).decode() not in said


def test_a_neighbour_on_the_same_line_is_not_shown(tmp_path: Path) -> None:
    found = look(SCANNER, tmp_path / "tree", {"a.py": f'connect("{AWS}", "{GITHUB}")\n'}).findings
    assert {f.excerpt for f in found} == {'connect("<AWS access key>", "<GitHub token>")'}
    assert len({f.fingerprint for f in found}) == 2


def test_equal_values_are_known_by_a_keyed_hash_only(tmp_path: Path) -> None:
    files = {"a.py": f'x = "{GITHUB}"\n', "b.py": f'y = "{GITHUB}"\n'}
    hashes = {f.secret.keyed_hash for f in look(SCANNER, tmp_path / "one", files, key=b"key of the store").findings if f.secret}
    assert hashes == {hmac.new(b"key of the store", GITHUB.encode(), hashlib.sha256).hexdigest()[:32]}
    assert {f.secret.keyed_hash for f in look(SCANNER, tmp_path / "two", files).findings if f.secret} == {""}


def test_the_identity_does_not_depend_on_the_value(tmp_path: Path) -> None:
    other = GITHUB[:-4] + "0000"
    (one,) = look(SCANNER, tmp_path / "one", {"a.py": f'token = "{GITHUB}"\n'}).findings
    (two,) = look(SCANNER, tmp_path / "two", {"a.py": f'token = "{other}"\n'}).findings
    assert one.fingerprint == two.fingerprint


def test_the_halves_of_a_key_are_one_finding(tmp_path: Path) -> None:
    (finding,) = look(SCANNER, tmp_path / "tree", {"a.env": f"AWS_ACCESS_KEY_ID={AWS}\nAWS_SECRET_ACCESS_KEY={AWS_SECRET}\n"}).findings
    assert finding.rule.id == "secrets.aws-access-key"
    assert finding.detail == "its secret half stands on line 2"


def test_the_secret_half_alone_is_one_too(tmp_path: Path) -> None:
    (finding,) = look(SCANNER, tmp_path / "tree", {"a.env": f"AWS_SECRET_ACCESS_KEY={AWS_SECRET}\n"}).findings
    assert finding.rule.id == "secrets.aws-secret-key"


def test_an_encoded_secret_is_found_and_its_line_not_shown(tmp_path: Path) -> None:
    encoded = base64.b64encode(f"token = {GITHUB}".encode()).decode()
    (finding,) = look(SCANNER, tmp_path / "tree", {"a.yml": f"first: 1\nconfig: {encoded}\n"}).findings
    assert finding.location.line == 2
    assert finding.detail == "in encoded form"
    assert encoded not in finding.excerpt


@pytest.mark.parametrize(
    "path",
    [
        "logo.svg",
        "package-lock.json",
        "go.sum",
        "node_modules/x/index.js",
        "vendor/bundle/x.rb",
        "gradlew",
        "lib/python3.11/x.py",
        ".gitleaks.toml",
        "x.gem",
    ],
)
def test_names_that_the_engine_leaves_out_are_looked_at(path: str, tmp_path: Path) -> None:
    assert [f.location.path for f in look(SCANNER, tmp_path / "tree", {path: f"key: {GITHUB}\n"}).findings] == [path]


@pytest.mark.parametrize(
    "magic", [b"GIF89a\n", b"%PDF-1.4\n", b"MZ\n", b"\x7fELF\n", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04\n", b"#!/bin/sh\n"]
)
def test_text_that_begins_like_something_else_is_looked_at(magic: bytes, tmp_path: Path) -> None:
    seen = look(SCANNER, tmp_path / "tree", {"a.py": magic + f'k = "{GITHUB}"\n'.encode()})
    assert len(seen.findings) == 1


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-8-sig", "latin-1"])
def test_text_in_other_encodings_is_looked_at(encoding: str, tmp_path: Path) -> None:
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    (finding,) = look(SCANNER, tmp_path / "tree", {"a.ps1": mark + f'$x = "caf\u00e9"\r\n$k = "{GITHUB}"\r\n'.encode(encoding)}).findings
    assert (finding.location.line, finding.location.column) == (2, 7)


def test_the_place_is_right_far_inside_a_very_long_line(tmp_path: Path) -> None:
    (finding,) = look(SCANNER, tmp_path / "tree", {"a.js": "\n" + "x" * 300_000 + f'"{GITHUB}"' + "y" * 300_000 + "\n"}).findings
    assert (finding.location.line, finding.location.column, finding.location.end_column) == (2, 300_002, 300_042)


def test_a_file_of_some_megabytes_is_looked_at_to_its_end(tmp_path: Path) -> None:
    """A schema that a program wrote: to leave it out would make every change of it red."""
    found = look(SCANNER, tmp_path / "tree", {"schema.graphql": "type Member { name: String }\n" * 60_000 + f'# "{GITHUB}"\n'}).findings
    assert [finding.location.line for finding in found] == [60_001]


def test_a_file_full_of_secrets_is_judged_in_part_and_says_so(tmp_path: Path) -> None:
    keys = "".join(
        "AK" + "IA" + hashlib.sha256(b"%d" % n).hexdigest().upper()[:16].translate(str.maketrans("0189", "GHJK")) + "\n"
        for n in range(2_500)
    )
    seen = look(SCANNER, tmp_path / "tree", {"keys.txt": keys})
    assert len(seen.findings) == 1_000
    assert [gap.reason for gap in seen.gaps.values()] == ["more than 1,000 findings"]


@pytest.mark.parametrize(
    "text",
    [
        'key = "AK' + 'IAIOSFODNN7EXAMPLE"',
        'password = "changeme"',
        'password = os.environ["PASSWORD"]',
        "token: ${{ secrets.GITHUB_TOKEN }}",
        "DATABASE_URL=postgres://user:password@localhost/db",
        "id: 123e4567-e89b-12d3-a456-426614174000",
        "sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "-----BEGIN PUBLIC KEY-----\n" + BODY + "\n-----END PUBLIC KEY-----",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + LETTERS + "aBcDeFgH me@example.org",
    ],
)
def test_what_only_looks_like_a_secret_is_silent(text: str, tmp_path: Path) -> None:
    assert look(SCANNER, tmp_path / "tree", {"app/config.py": text + "\n"}).places == []
