"""What a detected secret is called, and whether it is one: pure decisions on values that never leave them.

Detectors of secrets are loud: most of what looks like a password is a placeholder, a name or a digest. Here a value is dropped when it
cannot open anything, and is trusted less when it stands where people put examples.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import cache

from pipeline.model.finding import Confidence, Rule, Severity
from pipeline.triage import places

GENERIC = frozenset(
    {"generic-api-key", "generic-password", "generic-credential-uri", "jwt", "jwt-base64", "curl-auth-header", "curl-auth-user"}
)
"""Detector ids that know a secret by its surroundings, not by its form."""

_HUMAN = frozenset({"generic-password", "generic-credential-uri", "curl-auth-user"})
"""Values that a person may have chosen: no part of them is ever shown."""

_KINDS = {
    "aws-access-token": ("aws-access-key", "AWS access key"),
    "fixwright-aws-access-key-id": ("aws-access-key", "AWS access key"),
    "fixwright-aws-secret-access-key": ("aws-secret-key", "AWS secret key"),
    "fixwright-github-installation-token": ("github-installation-token", "GitHub installation token"),
    "generic-api-key": ("generic-api-key", "API key"),
    "generic-password": ("generic-password", "password"),
    "generic-credential-uri": ("credentials-in-url", "password in a URL"),
    "github-app-token": ("github-installation-token", "GitHub installation token"),
    "github-fine-grained-pat": ("github-token", "GitHub token"),
    "github-oauth": ("github-oauth-token", "GitHub OAuth token"),
    "github-pat": ("github-token", "GitHub token"),
    "github-refresh-token": ("github-refresh-token", "GitHub refresh token"),
    "gitlab-pat": ("gitlab-token", "GitLab token"),
    "gitlab-deploy-token": ("gitlab-deploy-token", "GitLab deploy token"),
    "gcp-api-key": ("google-api-key", "Google API key"),
    "anthropic-api-key": ("anthropic-api-key", "Anthropic API key"),
    "openai-api-key": ("openai-api-key", "OpenAI API key"),
    "npm-access-token": ("npm-token", "npm token"),
    "pypi-upload-token": ("pypi-token", "PyPI token"),
    "private-key": ("private-key", "private key"),
    "sendgrid-api-token": ("sendgrid-api-key", "SendGrid API key"),
    "slack-bot-token": ("slack-token", "Slack token"),
    "slack-user-token": ("slack-token", "Slack token"),
    "slack-webhook-url": ("slack-webhook", "Slack webhook"),
    "stripe-access-token": ("stripe-key", "Stripe key"),
    "telegram-bot-api-token": ("telegram-bot-token", "Telegram bot token"),
    "twilio-api-key": ("twilio-api-key", "Twilio API key"),
    "jwt": ("jwt", "signed token (JWT)"),
}
"""Our kind and its human name by detector id; others are made from the id."""

_WORDS = {w.lower(): w for w in ("AWS", "API", "GCP", "JWT", "PAT", "SSH", "PGP", "URL", "OAuth", "ID", "GitHub", "GitLab", "npm", "PyPI")}
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,60}", re.IGNORECASE)

_PLACEHOLDER = re.compile(
    r"""example | change[_-]?(me|it|this) | \byour[_-]? | ^your | place[_-]?holder | dummy | fake | sample | \btodo\b
    | replace[_-]?(me|with|this) | insert[_-]? | redacted | masked | not[_-]?a?[_-]?real | foo_?bar | lorem | xxxx | \*\*\* | \.\.\.
    | ^<.*>$ | ^\[.*\]$ | \$\{ | \$\( | ^\$\w+$ | \{\{ | ^%\w+%$ | ^%\(?\w*\)?s$ | ^\#\{ | ^\{\w*\}$ | ^@\w+@$
    | ^EJ\[\d+: | ^ENC\[ | ^\{cipher\} | ^x-(access-token|oauth-basic)$
    | 123456789 | abcdefgh | deadbeef | ^test(ing)?[_-]?\w{0,12}$
    | ^(secret|password|passwd|passphrase|token|api[_-]?key|none|null|true|false|undefined)$""",
    re.IGNORECASE | re.VERBOSE,
)
_LOOKUP = re.compile(
    r"environ|getenv|process\.env|\benv\(|config\(|vault|secretsmanager|get_secret|secret_key_ref|secretKeyRef", re.IGNORECASE
)
_ADDRESS = re.compile(r"0x[0-9a-f]{40}", re.IGNORECASE)
"""Of an account on a chain of blocks: everybody sees it."""
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_DIGEST = re.compile(r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{56}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128}", re.IGNORECASE)
_DIGEST_NAME = re.compile(r"sha\d|md5|digest|checksum|integrity|commit|revision|\brev\b|hash|etag|fingerprint|blob", re.IGNORECASE)
_PUBLIC = re.compile(r"^(pk_(test|live)_|ssh-(rsa|ed25519)|ecdsa-sha2-|AAAA[BCE]3Nza|-----BEGIN (PUBLIC|RSA PUBLIC|CERTIFICATE))")
_TEST_KEY = re.compile(r"^[srw]k_test_|sandbox|_test_", re.IGNORECASE)
_LOCK_FILE = re.compile(
    r"(^|/)(package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|bun\.lock|deno\.lock|poetry\.lock|uv\.lock|pdm\.lock|Pipfile\.lock"
    r"|Cargo\.lock|composer\.lock|Gemfile\.lock|go\.sum|packages\.lock\.json|gradle\.lockfile|verification-metadata\.xml|requirements[\w.-]*\.txt)$"
)
_REFUSED = re.compile(r"wrong|incorrect|invalid|mismatch|not[_-]?(correct|right)", re.IGNORECASE)
"""What tests call the password that must not open anything."""
_ROUTE = re.compile(r"/?[a-z][a-z_-]*(/[a-z_-]+)+/?")
_STRONG_NAME = re.compile(
    r"(db|database|mysql|postgres\w{0,30}|pg|redis|mongo\w{0,30}|smtp|mail|ldap|ftp|admin|root|prod\w{0,30}|master|service|jwt|session|signing|encryption|secret|private|api|auth|access|client)"
    r"[\w.-]{0,20}?(pass(word|wd|phrase)?|pwd|secret|key|token|credential)",
    re.IGNORECASE,
)
_KEY_BODY = re.compile(r"[A-Za-z0-9+/=\\]{40,}")


def kind_of(detector: str) -> tuple[str, str]:
    """Our kebab-case kind and its human name for a detector's rule id; a malformed id is a `secret`."""
    if detector in _KINDS:
        return _KINDS[detector]
    if not _ID.fullmatch(detector):
        return "secret", "secret"
    kebab = re.sub(r"[^a-z0-9]+", "-", detector.lower()).strip("-")
    words = [_WORDS.get(word, word) for word in kebab.split("-")]
    name = " ".join([words[0] if words[0] in _WORDS.values() else words[0].capitalize(), *words[1:]])
    return kebab, name


@cache
def rule_of(detector: str) -> Rule:
    """Our rule for what a detector finds: `secrets.<kind>`, CWE-798 (use of hard-coded credentials)."""
    kebab, name = kind_of(detector)
    generic = detector in GENERIC
    return Rule(
        id=f"secrets.{kebab}",
        title=f"{name[0].upper()}{name[1:]} in the source",
        message=f"Anyone who can read this repository, now or later, has this {name}.",
        severity=Severity.MEDIUM if generic else Severity.HIGH,
        confidence=Confidence.LOW if generic else Confidence.HIGH,
        cwe=798,
        help="Revoke it first, then read it from the environment or a secret store.",
    )


def known_rules() -> dict[str, Rule]:
    """The rules with a name of their own, by id, sorted. Others come into being when a detector fires."""
    rules = {rule.id: rule for rule in map(rule_of, _KINDS)}
    return dict(sorted(rules.items()))


def confidence_of(detector: str, value: str, line: str, path: str, said: str) -> Confidence | None:
    """How sure we are that this is a secret, None when it is none.

    Args:
        detector: the detector's rule id.
        value: what it found.
        line: the text of the line where it begins, the value included.
        path: the file's name in the repository.
        said: the detector's own confidence: `low`, `medium` or `high`.
    """
    if detector == "private-key":
        return _private_key(value, path)
    if _is_placeholder(value) or _PUBLIC.search(value):
        return None
    if detector in GENERIC:
        return _generic(detector, value, line, path, said)
    if _TEST_KEY.search(value):
        return Confidence.LOW
    if places.is_example(path):
        return Confidence.MEDIUM
    return Confidence.HIGH if said == "high" else Confidence.MEDIUM


def last_four(detector: str, value: str) -> str:
    """The last four characters, only of a machine token of 20 or more; else empty."""
    if detector in _HUMAN or detector == "private-key" or len(value) < 20 or not re.fullmatch(r"[\w+/=.~:-]+", value, re.ASCII):
        return ""
    return value[-4:]


def entropy(value: str) -> float:
    """Shannon entropy in bits a character; 0.0 for the empty string."""
    total = len(value)
    return -sum(n / total * math.log2(n / total) for n in Counter(value).values()) if total else 0.0


def _is_placeholder(value: str) -> bool:
    distinct = len(set(value.lower()))
    return distinct <= 3 or (len(value) >= 20 and distinct <= 6) or _PLACEHOLDER.search(value) is not None


def _private_key(value: str, path: str) -> Confidence | None:
    """A header around nothing is documentation; a body needs at least one line of key."""
    if not any(_KEY_BODY.search(line) for line in value.splitlines()[:60]):
        return None
    body = "".join(line for line in value.splitlines() if not line.startswith("-----"))
    if entropy(body) < 3.5:
        return None
    return Confidence.MEDIUM if "ENCRYPTED" in value or places.is_example(path) else Confidence.HIGH


def _generic(detector: str, value: str, line: str, path: str, said: str) -> Confidence | None:
    if _LOCK_FILE.search(path) or _UUID.fullmatch(value) or _ADDRESS.fullmatch(value) or _LOOKUP.search(line.replace(value, "")):
        return None
    if _DIGEST.fullmatch(value) and _DIGEST_NAME.search(line.replace(value, "")):
        return None
    if detector == "generic-api-key" and entropy(value) < 3.2:
        return None
    if detector == "generic-password" and (places.is_translation(path) or _is_text(value, line)):
        return None
    if places.is_example(path) or len(line) > 2_000:
        return None if _REFUSED.search(value) else Confidence.LOW
    mixed = sum(any(test(c) for c in value) for test in (str.isdigit, str.islower, str.isupper)) >= 2
    strong = said in ("medium", "high") or _STRONG_NAME.search(line.replace(value, "")) is not None
    return Confidence.MEDIUM if strong and mixed and len(value) >= 8 and entropy(value) >= 2.8 else Confidence.LOW


def _is_text(value: str, line: str) -> bool:
    """Words for a reader, a route, or what a shell takes when a variable is empty: they stand behind the word password and are none."""
    sentence = " " in value.strip() and (value[0].isupper() or value[-1] in ".?!:")  # a passphrase is neither
    words = not any(map(str.isdigit, value)) and (sentence or not value.isascii())
    return words or _ROUTE.fullmatch(value) is not None or re.search(r"\$\{\w+[:+?=-]*" + re.escape(value), line) is not None
