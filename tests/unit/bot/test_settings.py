"""Settings: read once, no default for a secret, and an error names the variable and never its value."""

from __future__ import annotations

import base64
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bot.settings import VARIABLES, engines_dir, read_settings, state_dir, variable_of
from bot.wiring import discover_plugins
from pipeline.errors import NotConfigured

ROOT = Path(__file__).parents[3]


def test_the_key_is_made_once_and_only_for_us(tmp_path: Path) -> None:
    settings = read_settings({"FIXWRIGHT_STATE_DIR": str(tmp_path / "state")})
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: settings.key(), range(32)))
    assert len(keys) == 1
    path = tmp_path / "state" / "secret.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["secret.key"]


def test_own_servers_need_an_own_key(tmp_path: Path) -> None:
    settings = read_settings({"FIXWRIGHT_STATE_DIR": str(tmp_path), "REDIS_URL": "redis://127.0.0.1:1"})
    with pytest.raises(NotConfigured, match="FIXWRIGHT_SECRET_KEY") as refused:
        settings.key()
    # A new key would lose what is stored: the one that is there comes first.
    assert refused.value.hint.startswith("set it to the key that the running processes have")


def test_subkeys_differ_by_purpose_and_stay_the_same(tmp_path: Path) -> None:
    key = base64.b64encode(bytes(range(32))).decode()
    one, other = (read_settings({"FIXWRIGHT_STATE_DIR": str(tmp_path), "FIXWRIGHT_SECRET_KEY": key}) for _ in range(2))
    assert one.subkey("a") == other.subkey("a")
    assert one.subkey("a") != one.subkey("b")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FIXWRIGHT_PORT", "http"),
        ("FIXWRIGHT_PORT", "70000"),
        ("FIXWRIGHT_SECRET_KEY", "c2hvcnQ="),
        ("FIXWRIGHT_SECRET_KEY", "???"),
        ("FIXWRIGHT_LOG_FORMAT", "xml"),
        ("FIXWRIGHT_URL", "fixwright.example.com"),
        ("REDIS_URL", "http://queue.example.com"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(NotConfigured, match=name) as caught:
        read_settings({"FIXWRIGHT_STATE_DIR": str(tmp_path), name: value})
    if name == "FIXWRIGHT_SECRET_KEY":
        assert value not in str(caught.value)


def test_a_range_is_written_as_people_write_it(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match=r"FIXWRIGHT_MAX_WAITING must be between 10 and 10000000, it is 1$"):
        read_settings({"FIXWRIGHT_STATE_DIR": str(tmp_path), "FIXWRIGHT_MAX_WAITING": "1"})
    with pytest.raises(NotConfigured, match=r"between 0\.1 and 86400, it is 0\.05$"):
        read_settings({"FIXWRIGHT_STATE_DIR": str(tmp_path), "FIXWRIGHT_RETRY_CAP": "0.05"})


def test_folders_follow_the_environment(tmp_path: Path) -> None:
    assert state_dir({"FIXWRIGHT_STATE_DIR": str(tmp_path)}) == tmp_path
    assert engines_dir({"FIXWRIGHT_ENGINES_DIR": str(tmp_path)}) == tmp_path


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    secret = base64.b64encode(b"k" * 32).decode()
    settings = read_settings(
        {"FIXWRIGHT_STATE_DIR": str(tmp_path), "FIXWRIGHT_SECRET_KEY": secret, "DATABASE_URL": "postgresql://u:hidden@h/d"}
    )
    assert "hidden" not in repr(settings)
    assert "kkk" not in repr(settings)


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs" / "guide" / "settings.md").read_text()
    wanted = {variable.name for variable in VARIABLES}
    wanted |= {variable_of(p, s.name) for p in discover_plugins().providers.values() for s in p.settings}
    assert {name for name in wanted if f"`{name}`" not in page} == set()
    assert set(re.findall(r"`(FIXWRIGHT_[A-Z_]+)`", page)) - wanted == set()
