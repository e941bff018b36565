"""Operator settings: environment variables, read once. No secret has a default."""

from __future__ import annotations

import base64
import binascii
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bot.statefolder import make_state_dir
from pipeline.errors import NotConfigured
from pipeline.ports import Provider
from pipeline.quota import NO_PLANS, Plans, read_plans

PREFIX: Final = "FIXWRIGHT_"

THE_KEY: Final = (
    "set it to the key that the running processes have (as in /etc/fixwright.env); "
    "only for the very first start make one: head -c 32 /dev/urandom | base64"
)
"""Hint where FIXWRIGHT_SECRET_KEY is missing: what was stored with one key is lost to another."""

_ORIGIN = re.compile(r"https?://[a-zA-Z0-9.-]+(?::[0-9]{1,5})?")
_ACCOUNT = re.compile(r"[a-z0-9][a-z0-9._-]{0,254}")


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable, as `fixwright doctor` lists it."""

    name: str
    help: str
    default: str = ""
    secret: bool = False


VARIABLES: Final = (
    Variable("FIXWRIGHT_HOST", "address that the web process listens on", "127.0.0.1"),
    Variable("FIXWRIGHT_PORT", "port that the web process listens on; 0 takes a free one", "8080"),
    Variable("FIXWRIGHT_URL", "address of Fixwright as seen from outside", "http://HOST:PORT"),
    Variable("FIXWRIGHT_STATE_DIR", "folder of the embedded database, queue, mirrors and keys", "see docs/guide/settings.md"),
    Variable("FIXWRIGHT_ENGINES_DIR", "folder of the scan engines", "see docs/guide/settings.md"),
    Variable("FIXWRIGHT_SECRET_KEY", "32 bytes base64; unset: made once in the state folder", secret=True),
    Variable("REDIS_URL", "own Redis or Valkey; unset: a bundled Valkey on a unix socket", secret=True),
    Variable("DATABASE_URL", "own PostgreSQL; unset: SQLite in the state folder", secret=True),
    Variable("FIXWRIGHT_CA_BUNDLE", "PEM file of certificate authorities that are trusted besides the public ones"),
    Variable("FIXWRIGHT_WORKERS", "worker processes that `fixwright up` starts", "1"),
    Variable("FIXWRIGHT_ENGINE_SECONDS", "longest run of one engine on one change", "120"),
    Variable("FIXWRIGHT_TMPDIR", "where private trees of a scan are made", "the system's place for temporary files"),
    Variable("FIXWRIGHT_LOG_FORMAT", "text or json", "text"),
    Variable("FIXWRIGHT_LOG_LEVEL", "debug, info, warning or error", "info"),
    Variable("FIXWRIGHT_RETRY_CAP", "longest wait in seconds before a failed message is tried, or a silent host is asked again", "3600"),
    Variable("FIXWRIGHT_MESSAGE_CAP", "longest time in seconds that one step may take before its process is ended", "3600"),
    Variable("FIXWRIGHT_METRICS_TOKEN", "opens /metrics to others than this machine: `Authorization: Bearer TOKEN`", secret=True),
    Variable("FIXWRIGHT_RETENTION_DAYS", "how long reviews of closed changes and what engines said are kept", "90"),
    Variable("FIXWRIGHT_PURGE_DAYS", "days between the removal of a repository and its purge", "7"),
    Variable("FIXWRIGHT_MIRROR_DAYS", "a mirror that was not used for so long is removed", "30"),
    Variable("FIXWRIGHT_MIN_FREE_MB", "with less room than this on the disk of the state folder, scans wait", "500"),
    Variable("FIXWRIGHT_REPOSITORY_SCANS", "scans of one repository that run at the same time", "2"),
    Variable("FIXWRIGHT_MAX_WAITING", "with more messages waiting than this, deliveries are refused with 503", "50000"),
    Variable(
        "FIXWRIGHT_INTAKE_FREE_MB", "with less room than this on the disk of the state folder, deliveries are refused with 503", "100"
    ),
    Variable("FIXWRIGHT_MAX_HELD_MB", "megabytes of bodies that one web process receives at the same moment", "256"),
    Variable("FIXWRIGHT_SPOOL_MB", "room for deliveries that wait in files for the database; 0: none is kept so", "256"),
    Variable("FIXWRIGHT_PLANS", "TOML file with the plans of organizations; unset: nothing has a limit"),
    Variable("FIXWRIGHT_OIDC_ISSUER", "address of an OpenID Connect issuer whose tokens open the API; unset: keys only"),
    Variable("FIXWRIGHT_OIDC_AUDIENCE", "audience that its tokens must be for", "fixwright"),
    Variable("FIXWRIGHT_OIDC_CLAIM", "claim of its tokens that has the slug of an organization", "organization"),
    Variable("FIXWRIGHT_CORS_ORIGINS", "origins whose pages may call the API, with blanks or commas between"),
    Variable("FIXWRIGHT_MENTION", "another name, besides fixwright, that people may give commands to: @NAME scan"),
    Variable("FIXWRIGHT_ORGANIZATION_PER_INSTALLATION", "1: every new installation gets an organization of its own", "0"),
)


@dataclass(frozen=True)
class Settings:
    """What the operator decided. Secrets are kept out of `repr`."""

    host: str
    port: int
    url: str
    state_dir: Path
    engines_dir: Path
    redis_url: str = field(repr=False)
    """Empty: embedded."""
    database_url: str = field(repr=False)
    """Never empty: SQLite in the state folder unless DATABASE_URL is set."""
    own_servers: bool
    """True when the database or the queue is the operator's own."""
    secret_key: bytes = field(repr=False)
    """Empty when unset."""
    workers: int = 1
    retry_cap: float = 3600.0
    message_cap: float = 3600.0
    engine_seconds: float = 120.0
    log_format: str = "text"
    log_level: str = "info"
    metrics_token: str = field(default="", repr=False)
    """Empty: metrics for this machine only."""
    retention_days: float = 90.0
    purge_days: float = 7.0
    mirror_days: float = 30.0
    min_free_mb: float = 500.0
    repository_scans: int = 2
    max_waiting: int = 50_000
    intake_free_mb: float = 100.0
    max_held_mb: float = 256.0
    spool_mb: float = 256.0
    organization_per_installation: bool = False
    plans: Plans = NO_PLANS
    oidc_issuer: str = ""
    """Address of the OpenID Connect issuer whose tokens open the API; empty: none."""
    oidc_audience: str = "fixwright"
    oidc_claim: str = "organization"
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may call the API; none by default."""
    mention: str = ""
    """Another name under which people speak to us; empty: none."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def own_database(self) -> bool:
        """True when DATABASE_URL is set: the state folder has no database."""
        return bool(self.environment.get("DATABASE_URL"))

    @property
    def database_file(self) -> Path:
        """Where SQLite's is, unless there is an own database."""
        return self.state_dir / "fixwright.db"

    @property
    def mirrors_dir(self) -> Path:
        """Where bare mirrors of repositories are kept."""
        return self.state_dir / "mirrors"

    @property
    def spool_dir(self) -> Path:
        """Where deliveries wait for the database, see `pipeline.store.spool`."""
        return self.state_dir / "spool"

    def provider(self, provider: Provider) -> dict[str, str]:
        """Values of a provider's settings by their short names; unset ones are absent or have their default."""
        found = {}
        for setting in provider.settings:
            default = setting.default.replace("{state}", str(self.state_dir))
            value = self.environment.get(variable_of(provider, setting.name), "") or default
            if value:
                found[setting.name] = value
        return found

    def key(self) -> bytes:
        """The 32 secret bytes of this installation; made once in the state folder when none is set.

        Raises:
            NotConfigured: an own database or Redis without FIXWRIGHT_SECRET_KEY: another process would make another key.
        """
        if self.secret_key:
            return self.secret_key
        if self.own_servers:
            raise NotConfigured(
                "an own database or Redis needs FIXWRIGHT_SECRET_KEY: every process must have the same key",
                hint=THE_KEY,
            )
        return _stored_key(self.state_dir / "secret.key")

    def subkey(self, purpose: str) -> bytes:
        """32 bytes for one purpose (HKDF-SHA256, RFC 5869)."""
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"fixwright:{purpose}".encode()).derive(self.key())


def variable_of(provider: Provider, setting: str) -> str:
    """Name of the environment variable of a provider's setting."""
    return f"{PREFIX}{provider.name.upper()}_{setting}"


def state_dir(environment: Mapping[str, str] | None = None) -> Path:
    """FIXWRIGHT_STATE_DIR, or its default: /var/lib/fixwright/state as root, else below $XDG_STATE_HOME."""
    return _folder(environment or os.environ, "STATE_DIR", "/var/lib/fixwright/state", "XDG_STATE_HOME", ".local/state", "fixwright")


def engines_dir(environment: Mapping[str, str] | None = None) -> Path:
    """FIXWRIGHT_ENGINES_DIR, or its default: the same from every working directory and state folder."""
    return _folder(
        environment or os.environ, "ENGINES_DIR", "/var/lib/fixwright/engines", "XDG_DATA_HOME", ".local/share", "fixwright/engines"
    )


def _folder(environment: Mapping[str, str], name: str, as_root: str, xdg: str, home: str, tail: str) -> Path:
    given = environment.get(PREFIX + name, "")
    if given:
        return Path(given).absolute()
    if os.geteuid() == 0:
        return Path(as_root)
    base = environment.get(xdg, "")
    return (Path(base) if base else Path.home() / home) / tail


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment.

    Raises:
        NotConfigured: a value cannot be used; the message names the variable and never repeats a secret.
    """
    env = dict(os.environ if environment is None else environment)
    state = state_dir(env)
    port = _number(env, "FIXWRIGHT_PORT", 8080, 0, 65_535)
    host = env.get("FIXWRIGHT_HOST", "") or "127.0.0.1"
    database = env.get("DATABASE_URL", "")
    redis = _address(env, "REDIS_URL", ("redis", "rediss", "unix"))
    return Settings(
        host=host,
        port=int(port),
        url=(_address(env, "FIXWRIGHT_URL", ("http", "https")) or f"http://{host}:{int(port)}").rstrip("/"),
        state_dir=state,
        engines_dir=engines_dir(env),
        redis_url=redis,
        database_url=database or f"sqlite:///{state / 'fixwright.db'}",
        own_servers=bool(database or redis) and not env.get("FIXWRIGHT_EMBEDDED_CHILD"),
        secret_key=_decode_key(env.get("FIXWRIGHT_SECRET_KEY", "")),
        workers=int(_number(env, "FIXWRIGHT_WORKERS", 1, 0, 64)),
        retry_cap=_number(env, "FIXWRIGHT_RETRY_CAP", 3600, 0.1, 86_400),
        message_cap=_number(env, "FIXWRIGHT_MESSAGE_CAP", 3600, 5, 3600),
        engine_seconds=_number(env, "FIXWRIGHT_ENGINE_SECONDS", 120, 1, 3600),
        log_format=_choice(env, "FIXWRIGHT_LOG_FORMAT", ("text", "json")),
        log_level=_choice(env, "FIXWRIGHT_LOG_LEVEL", ("info", "debug", "warning", "error")),
        metrics_token=_token(env, "FIXWRIGHT_METRICS_TOKEN"),
        retention_days=_number(env, "FIXWRIGHT_RETENTION_DAYS", 90, 1, 3650),
        purge_days=_number(env, "FIXWRIGHT_PURGE_DAYS", 7, 0, 365),
        mirror_days=_number(env, "FIXWRIGHT_MIRROR_DAYS", 30, 1, 3650),
        min_free_mb=_number(env, "FIXWRIGHT_MIN_FREE_MB", 500, 0, 1_000_000),
        repository_scans=int(_number(env, "FIXWRIGHT_REPOSITORY_SCANS", 2, 1, 64)),
        max_waiting=int(_number(env, "FIXWRIGHT_MAX_WAITING", 50_000, 10, 10_000_000)),
        intake_free_mb=_number(env, "FIXWRIGHT_INTAKE_FREE_MB", 100, 0, 1_000_000),
        max_held_mb=_number(env, "FIXWRIGHT_MAX_HELD_MB", 256, 32, 100_000),
        spool_mb=_number(env, "FIXWRIGHT_SPOOL_MB", 256, 0, 1_000_000),
        organization_per_installation=_choice(env, "FIXWRIGHT_ORGANIZATION_PER_INSTALLATION", ("0", "1")) == "1",
        plans=_plans(env),
        oidc_issuer=_address(env, "FIXWRIGHT_OIDC_ISSUER", ("https", "http")),
        oidc_audience=env.get("FIXWRIGHT_OIDC_AUDIENCE", "") or "fixwright",
        oidc_claim=env.get("FIXWRIGHT_OIDC_CLAIM", "") or "organization",
        cors_origins=_origins(env),
        mention=_name(env, "FIXWRIGHT_MENTION"),
        environment=env,
    )


def _number(env: Mapping[str, str], name: str, default: float, low: float, high: float) -> float:
    text = env.get(name, "") or str(default)
    try:
        value = float(text)
    except ValueError:
        raise NotConfigured(f"{name} is not a number: '{text}'") from None
    if not low <= value <= high:
        raise NotConfigured(f"{name} must be between {_plain(low)} and {_plain(high)}, it is {_plain(value)}")
    return value


def _plain(number: float) -> str:
    """As people write it: 10000000, not 1e+07."""
    return f"{number:f}".rstrip("0").rstrip(".")


def _address(env: Mapping[str, str], name: str, schemes: tuple[str, ...]) -> str:
    value = env.get(name, "")
    if value and not value.startswith(tuple(f"{scheme}://" for scheme in schemes)):
        raise NotConfigured(f"{name} must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    return value


def _choice(env: Mapping[str, str], name: str, words: tuple[str, ...]) -> str:
    value = (env.get(name, "") or words[0]).lower()
    if value not in words:
        raise NotConfigured(f"{name} must be one of {', '.join(words)}; it is '{value}'")
    return value


def _plans(env: Mapping[str, str]) -> Plans:
    """The table of plans in the file that FIXWRIGHT_PLANS names."""
    path = env.get("FIXWRIGHT_PLANS", "")
    if not path:
        return NO_PLANS
    try:
        return read_plans(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise NotConfigured(f"FIXWRIGHT_PLANS cannot be read: {error}") from None


def _origins(env: Mapping[str, str]) -> tuple[str, ...]:
    found = tuple(word for word in re.split(r"[,\s]+", env.get("FIXWRIGHT_CORS_ORIGINS", "")) if word)
    if bad := next((one for one in found if not _ORIGIN.fullmatch(one)), ""):
        raise NotConfigured(f"FIXWRIGHT_CORS_ORIGINS: '{bad}' is no origin, such as https://tools.example.org")
    return found


def _name(env: Mapping[str, str], name: str) -> str:
    """Of an account on a host."""
    value = env.get(name, "").strip().removeprefix("@").lower()
    if value and not _ACCOUNT.fullmatch(value):
        raise NotConfigured(f"{name} is no name of an account: letters, digits, dots, hyphens and underscores")
    return value


def _token(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    if value and len(value) < 16:
        raise NotConfigured(f"{name} is shorter than 16 characters", hint="make one: head -c 32 /dev/urandom | base64")
    return value


def _decode_key(text: str) -> bytes:
    if not text:
        return b""
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 32:
        raise NotConfigured("FIXWRIGHT_SECRET_KEY is not 32 bytes of base64", hint=THE_KEY)
    return key


def _stored_key(path: Path) -> bytes:
    """Read the key, or make it: two processes that start at once end with the same one."""
    make_state_dir(path.parent)
    if not path.exists():
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(32)))
            file.flush()
            os.fsync(file.fileno())
        try:
            # link, not rename: it fails when another process was first, and then that one's key is everybody's.
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    try:
        return _decode_key(path.read_text("ascii").strip()) or _no_key(path)
    except (NotConfigured, OSError, ValueError):
        return _no_key(path)


def _no_key(path: Path) -> NoReturn:
    raise NotConfigured(f"{path} holds no key that can be read", hint="restore it from a backup, or remove it to make a new one")
