"""Image and composition stay in step with the Procfile, the settings, the locks and the package. No container engine is asked."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

from bot.cli import make_parser
from bot.settings import VARIABLES, read_settings
from bot.wiring import discover_plugins

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
IGNORED = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
PROCFILE = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text("utf-8").splitlines() if line)
OURS = {"web", "relay", "worker"}


def _instructions() -> list[tuple[str, str]]:
    """(instruction, rest), continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", "\n".join(line for line in DOCKERFILE.splitlines() if not line.startswith("#")))
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())]


def _copied() -> set[str]:
    return {source for word, rest in _instructions() if word == "COPY" and "--from" not in rest for source in rest.split()[:-1]}


def _environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for word, rest in _instructions() if word == "ENV" for pair in rest.split())


def test_the_composition_runs_the_processes_of_the_procfile() -> None:
    commands = {name: " ".join(COMPOSE["services"][name]["command"]) for name in OURS}
    assert commands == PROCFILE
    assert set(COMPOSE["services"]) == OURS | {"postgres", "valkey"}


def test_every_command_of_image_and_composition_is_one_of_ours() -> None:
    lines = [service["healthcheck"]["test"][1:] for name, service in COMPOSE["services"].items() if name in OURS]
    lines += [service["command"] for name, service in COMPOSE["services"].items() if name in OURS]
    lines += [yaml.safe_load(rest[rest.index("[") :]) for word, rest in _instructions() if word in ("CMD", "HEALTHCHECK")]
    assert len(lines) == 8
    for line in lines:
        assert line[0] == "fixwright"
        assert callable(make_parser(line[1]).parse_args(line[1:]).run)


def test_every_setting_that_they_name_exists() -> None:
    known = {variable.name for variable in VARIABLES}
    for provider in discover_plugins().providers.values():
        known |= {f"FIXWRIGHT_{provider.name.upper()}_{setting.name}" for setting in provider.settings}
    text = DOCKERFILE + (ROOT / "compose.yaml").read_text("utf-8")
    named = set(re.findall(r"\b(?:FIXWRIGHT_[A-Z_]+|DATABASE_URL|REDIS_URL)\b", text))
    assert len(named) >= 8
    assert named - known == set()
    read_settings(_environment())


def test_everything_that_is_copied_reaches_the_engine_and_is_what_the_package_needs() -> None:
    allowed = {line[1:] for line in IGNORED if line.startswith("!")}
    assert IGNORED[1] == "*"
    assert _copied() == allowed
    assert all((ROOT / name).exists() for name in allowed)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    packages = {pattern.rstrip("*") for pattern in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    described = {project["project"]["readme"], *project["project"]["license-files"]}
    assert packages | described <= _copied()


def test_packages_come_from_the_locks_with_their_hashes() -> None:
    installs = re.findall(r"pip install ([^&]*)", " && ".join(rest for word, rest in _instructions() if word == "RUN"))
    assert len(installs) == 3
    for arguments in installs:
        assert "--require-hashes" in arguments or {"--no-deps", "--no-build-isolation"} <= set(arguments.split())
    locked = (ROOT / "requirements.txt").read_text("utf-8")
    assert re.search(r"^setuptools==", (ROOT / "requirements-build.txt").read_text("utf-8"), re.MULTILINE)
    assert "prometheus-client==" in locked


def test_nothing_runs_as_root_and_nothing_secret_is_inside() -> None:
    words = [word for word, _ in _instructions()]
    assert dict(_instructions()[words.index("USER") :])["USER"] == "fixwright"
    secret = {variable.name for variable in VARIABLES if variable.secret}
    assert secret & set(_environment()) == set()
    assert "COPY . " not in DOCKERFILE
    uid = re.search(r"--uid (\d+)", DOCKERFILE)
    assert uid is not None
    for name in OURS:
        service = COMPOSE["services"][name]
        assert (service["user"], service["read_only"], service["cap_drop"]) == (uid[1], True, ["ALL"])
        assert "no-new-privileges:true" in service["security_opt"]


def test_the_database_does_not_know_the_key_that_seals_what_lies_in_it() -> None:
    files = {name: service.get("env_file", []) for name, service in COMPOSE["services"].items()}
    assert files == {**{name: ["fixwright.env"] for name in OURS}, "postgres": ["postgres.env"], "valkey": []}
    of_the_database = (ROOT / "compose.yaml").read_text("utf-8").partition("# postgres.env")[2].partition("\nname:")[0]
    assert re.findall(r"^#   (\w+)=", of_the_database, re.MULTILINE) == ["POSTGRES_PASSWORD"]


def test_only_the_web_process_is_published_and_only_on_this_machine() -> None:
    published = {name: service["ports"] for name, service in COMPOSE["services"].items() if "ports" in service}
    assert published == {"web": ["127.0.0.1:8080:8080"]}
    assert read_settings({}).port == 8080
    assert ("EXPOSE", "8080") in _instructions()


def test_what_must_outlive_a_container_lies_in_a_volume() -> None:
    state = _environment()["FIXWRIGHT_STATE_DIR"]
    assert ("VOLUME", state) in _instructions()
    mounted = {volume.split(":")[0]: volume.split(":")[1] for service in COMPOSE["services"].values() for volume in service["volumes"]}
    assert set(mounted) == set(COMPOSE["volumes"])
    assert mounted["state"] == state
    assert all("healthcheck" in service for service in COMPOSE["services"].values())
