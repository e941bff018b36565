"""What is a secret, and what only looks like one. All values are put together at run time."""

from __future__ import annotations

import pytest

from pipeline.model.finding import Confidence, Severity
from pipeline.triage.secrets import confidence_of, entropy, kind_of, known_rules, last_four, rule_of

GITHUB = "gh" + "p_" + "9aB3xK7mQ2vR8tY4wZ6nL1pD5sF0gHjUcEiX"
AWS = "AK" + "IA" + "Q3EGWX5RTYUOPLKJ"
STRIPE_TEST = "sk_" + "test_" + "4eC39HqLyjWDarjtT1zdp7dc"
API_KEY = "f3Kq9ZpL" + "w2Xv7RbT" + "m5Nc8YdH"
PASSWORD = "Tr0ub4dor" + "&3xyz"
BODY = "MIIEpAIBAAKCAQEA7Zk3vQ9sLm2xTfYbWq8RjHcUoNpD4aGiKeXwVyB1nJrSz5t0"


def pem(kind: str, body: str) -> str:
    return f"-----BEGIN {kind}-----\n{body}\n-----END {kind}-----"


def judge(detector: str, value: str, *, line: str = "", path: str = "app/config.py", said: str = "high") -> Confidence | None:
    return confidence_of(detector, value, line or f'x = "{value}"', path, said)


@pytest.mark.parametrize(
    ("detector", "value"), [("github-pat", GITHUB), ("fixwright-aws-access-key-id", AWS), ("github-app-token", "gh" + "s_" + API_KEY)]
)
def test_a_token_with_a_form_of_its_own_is_sure(detector: str, value: str) -> None:
    assert judge(detector, value) is Confidence.HIGH
    assert rule_of(detector).severity is Severity.HIGH


@pytest.mark.parametrize(
    "path",
    [
        "tests/test_api.py",
        "docs/guide.md",
        "README.md",
        "src/__tests__/a.js",
        "examples/x.py",
        "fixtures/a.json",
        "node_modules/a/b.js",
        ".env.example",
        ".env.test",
        "caddytest/a.go",
        "test-utils/a.ts",
        "cypress/login.js",
        "db/seeds.rb",
    ],
)
def test_where_people_put_examples_it_is_less_sure_but_not_dropped(path: str) -> None:
    assert judge("github-pat", GITHUB, path=path) is Confidence.MEDIUM
    assert judge("generic-api-key", API_KEY, path=path, said="medium") is Confidence.LOW


@pytest.mark.parametrize("path", ["latest/config.py", "contest/app.py", "attest/app.py", "app/testimonials.py", "src/fastest/a.py"])
def test_a_name_that_only_ends_like_tests_is_no_place_for_examples(path: str) -> None:
    assert judge("github-pat", GITHUB, path=path) is Confidence.HIGH


@pytest.mark.parametrize(
    ("detector", "value"),
    [
        ("fixwright-aws-access-key-id", "AK" + "IA" + "IOSFODNN7EXAMPLE"),
        ("fixwright-aws-secret-access-key", "wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY"),
        ("github-pat", "gh" + "p_" + "x" * 36),
        ("github-pat", "gh" + "p_" + "123456789" * 4),
        ("stripe-access-token", "pk_" + "live_" + API_KEY),
        ("generic-password", "changeme"),
        ("generic-password", "change-me-now"),
        ("generic-password", "your_password"),
        ("generic-password", "<password>"),
        ("generic-password", "${DB_PASSWORD}"),
        ("generic-password", "$DB_PASSWORD"),
        ("generic-password", "{{ password }}"),
        ("generic-password", "%(password)s"),
        ("generic-password", "xxxxxxxx"),
        ("generic-password", "********"),
        ("generic-password", "aaaaaaaaaa"),
        ("generic-password", "password"),
        ("generic-password", "test1234"),
        ("generic-api-key", "your-api-key-here"),
        ("generic-api-key", "123e4567-e89b-12d3-a456-426614174000"),
        ("generic-api-key", "aaaaaaaabbbbbbbb"),
    ],
)
def test_a_placeholder_is_none(detector: str, value: str) -> None:
    assert judge(detector, value) is None


@pytest.mark.parametrize(
    "line",
    ['password = os.environ["{}"]', 'password = config("{}")', "password: process.env.{}", 'password = vault.read("{}")', 'getenv("{}")'],
)
def test_a_look_up_is_none(line: str) -> None:
    assert judge("generic-password", PASSWORD, line=line.format(PASSWORD)) is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("config/locales/de.yml", "Passwort"),
        ("web/src/i18n/ar_SA.json", "Kennwort2"),
        ("conf/locale/locale_cs-CZ.ini", "Heslo"),
        ("po/fr.po", "Mot"),
        ("src/messages_pt_BR.properties", "Senha"),
        ("app/form.py", "Zaboravljena lozinka?"),
        ("app/form.py", "\u30d1\u30b9\u30ef\u30fc\u30c9"),
        ("app/urls.py", "/api/documents/remove_password/"),
        ("app/mail.go", "auth/reset_passwd"),
        ("tests/test_login.py", "wrong-password"),
        ("spec/login_spec.rb", "incorrectpass"),
    ],
)
def test_words_for_a_reader_are_none(path: str, value: str) -> None:
    assert judge("generic-password", value, path=path, line=f'password = "{value}"') is None


def test_a_password_with_a_blank_or_a_slash_is_still_one() -> None:
    for value in ("correct horse 7 battery", "correct horse battery", "a/7Kq" + "Zp9w/x", "wrong-password"):
        assert judge("generic-password", value) is not None
    assert judge("generic-api-key", API_KEY, path="config/locales/de.yml") is not None


@pytest.mark.parametrize(
    ("detector", "value"),
    [
        ("generic-password", "EJ[1:b7A3qs6f9TQ3YGMN" + "pycH0heHfjzUW160JLgA5HCLw34=:g6GR5S6s]"),
        ("generic-password", "ENC[AES256_GCM,data:" + "b7A3qs6f9TQ3]"),
        ("generic-credential-uri", "x-access-token"),
        ("generic-api-key", "0x36435796Ca9be2bf" + "150CE0dECc2D8Fab5C4d6E13"),
    ],
)
def test_what_is_encrypted_or_public_is_none(detector: str, value: str) -> None:
    assert judge(detector, value) is None


def test_what_a_shell_takes_for_an_empty_variable_is_none() -> None:
    for value in ("has-password}", "+has-password}"):
        assert judge("generic-password", value, line='case "${MVNW_PASSWORD:+has-password}" in') is None


@pytest.mark.parametrize("digits", [32, 40, 64, 128])
@pytest.mark.parametrize("name", ["sha256", "md5sum", "integrity", "commit", "revision", "etag", "file_hash"])
def test_a_digest_that_calls_itself_one_is_none(digits: int, name: str) -> None:
    value = ("9f86d081884c7d659a2feaa0c55ad015" * 4)[:digits]
    assert judge("generic-api-key", value, line=f'{name}_key = "{value}"') is None
    assert judge("generic-api-key", value, line=f'api_key = "{value}"') is not None


@pytest.mark.parametrize("path", ["package-lock.json", "web/yarn.lock", "poetry.lock", "go.sum", "requirements-dev.txt", "Cargo.lock"])
def test_lock_files_hold_digests_but_a_token_there_is_a_token(path: str) -> None:
    assert judge("generic-api-key", API_KEY, path=path) is None
    assert judge("github-pat", GITHUB, path=path) is Confidence.HIGH


def test_a_password_needs_strong_surroundings() -> None:
    assert judge("generic-password", PASSWORD, line=f'DB_PASSWORD = "{PASSWORD}"', said="low") is Confidence.MEDIUM
    assert judge("generic-password", PASSWORD, line=f'password = "{PASSWORD}"', said="medium") is Confidence.MEDIUM
    assert judge("generic-password", PASSWORD, line=f'password = "{PASSWORD}"', said="low") is Confidence.LOW
    assert judge("generic-password", "letmein", line='DB_PASSWORD = "letmein"', said="low") is Confidence.LOW
    assert rule_of("generic-password").severity is Severity.MEDIUM


def test_a_key_for_tests_of_a_provider_counts_for_little() -> None:
    assert judge("stripe-access-token", STRIPE_TEST) is Confidence.LOW


def test_a_generic_key_in_a_very_long_line_is_generated() -> None:
    assert judge("generic-api-key", API_KEY, line="x" * 5_000 + API_KEY, said="high") is Confidence.LOW


def test_a_private_key_needs_a_body() -> None:
    assert judge("private-key", pem("RSA PRIVATE KEY", BODY)) is Confidence.HIGH
    assert judge("private-key", pem("ENCRYPTED PRIVATE KEY", BODY)) is Confidence.MEDIUM
    assert judge("private-key", pem("RSA PRIVATE KEY", BODY), path="tests/key.pem") is Confidence.MEDIUM
    assert judge("private-key", pem("PRIVATE KEY", "...")) is None
    assert judge("private-key", pem("PRIVATE KEY", "a" * 64)) is None


def test_four_characters_are_shown_of_a_machine_token_only() -> None:
    assert last_four("github-pat", GITHUB) == GITHUB[-4:]
    assert last_four("github-pat", GITHUB[:19]) == ""
    assert last_four("generic-password", "a perfectly long password of a person") == ""
    assert last_four("generic-password", API_KEY * 2) == ""
    assert last_four("generic-credential-uri", API_KEY * 2) == ""
    assert last_four("private-key", pem("PRIVATE KEY", BODY)) == ""


@pytest.mark.parametrize(
    ("detector", "kind", "name"),
    [
        ("github-pat", "github-token", "GitHub token"),
        ("aws-access-token", "aws-access-key", "AWS access key"),
        ("fixwright-aws-access-key-id", "aws-access-key", "AWS access key"),
        ("hashicorp-tf-api-token", "hashicorp-tf-api-token", "Hashicorp tf API token"),
        ("Some_Vendor.key", "some-vendor-key", "Some vendor key"),
        ("1password-secret-key", "1password-secret-key", "1password secret key"),
        ("", "secret", "secret"),
        ("../../x", "secret", "secret"),
        ("x\n<b>", "secret", "secret"),
        ("x" * 200, "secret", "secret"),
    ],
)
def test_a_kind_has_our_own_name(detector: str, kind: str, name: str) -> None:
    assert kind_of(detector) == (kind, name)
    assert rule_of(detector).id == f"secrets.{kind}"


def test_known_rules_are_ours_and_complete() -> None:
    rules = known_rules()
    assert {"secrets.aws-access-key", "secrets.github-token", "secrets.private-key", "secrets.generic-password"} <= rules.keys()
    assert all(rule.cwe == 798 and rule.id == key and len(rule.title.split()) <= 8 for key, rule in rules.items())


def test_entropy_is_in_bits_a_character() -> None:
    assert entropy("") == 0.0
    assert entropy("aaaa") == 0.0
    assert entropy("abab") == 1.0
    assert entropy("abcd") == 2.0
