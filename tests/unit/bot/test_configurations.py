"""Settings of hosts: the environment first, what setup stored beside it, learnt by others within seconds."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from sqlalchemy import update

from bot.cli import main
from bot.configurations import FRESH, SettingsOfHosts
from bot.pages.links import SetupLinks
from bot.settings import read_settings
from bot.wiring import discover_plugins
from pipeline.errors import StoreError
from pipeline.ports import OUR_URL
from pipeline.store.engine import Database
from pipeline.store.host_memory import StoredHostMemory
from pipeline.store.seal import Seal
from pipeline.store.tables import instances

KEY = "uoS9uWLySP1wpG9tHrxgudwVTmH5bLz7f8fQ2YDadrE="
STORED = {"WEBHOOK_SECRET": "stored " + "secret", "APP_ID": "7", "PRIVATE_KEY": "a key", "API_URL": "https://ghe.test/api/v3"}


class Processes:
    """Processes of one Fixwright: each has settings of its own over the same store."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, 1_000.0
        self.database = Database.open(f"sqlite:///{folder / 'fixwright.db'}")
        self.database.migrate()

    def process(
        self,
        environment: Mapping[str, str] | None = None,
        *,
        key: str = KEY,
        offline: bool = False,
        clock: Callable[[], float] | None = None,
    ) -> SettingsOfHosts:
        """A process with this environment."""
        settings = read_settings({"FIXWRIGHT_STATE_DIR": str(self.folder), "FIXWRIGHT_SECRET_KEY": key, **(environment or {})})
        seal = Seal(settings.subkey("instances"))
        database = None if offline else self.database
        return SettingsOfHosts(settings, discover_plugins().providers, database, seal, clock=clock or (lambda: self.now))


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    made = Processes(tmp_path)
    yield made
    made.database.dispose()


def test_what_one_process_stores_another_knows_within_seconds(processes: Processes) -> None:
    web, worker = processes.process(), processes.process()
    assert worker.instances("github") == []
    web.save("github", "", STORED)
    assert web.of("github", "")["APP_ID"] == "7"
    processes.now += FRESH
    assert worker.of("github", "")["APP_ID"] == "7"
    assert worker.of("github", "ghe.test")["APP_ID"] == "7", "a name that nobody stored anything for means the default one"


def test_who_was_looking_while_something_was_stored_does_not_hide_it(processes: Processes) -> None:
    looked, go_on = threading.Event(), threading.Event()

    def clock() -> float:
        """Asked when the store was read, before what it said is kept."""
        if threading.current_thread().name == "looking":
            looked.set()
            assert go_on.wait(60)
        return processes.now

    web = processes.process(clock=clock)
    web.save("github", "", STORED)
    looking = threading.Thread(target=web.of, args=("github", ""), name="looking")
    looking.start()
    assert looked.wait(60)
    saving = threading.Thread(target=web.save, args=("github", "", {**STORED, "APP_ID": "8"}))
    saving.start()
    other = processes.process()
    while other.of("github", "")["APP_ID"] != "8":  # it is stored
        processes.now += FRESH
    processes.now = 1_000.0
    go_on.set()
    looking.join(60)
    saving.join(60)
    assert web.of("github", "")["APP_ID"] == "8"


def test_every_host_is_told_the_address_that_it_can_reach_us_at(processes: Processes) -> None:
    process = processes.process({"FIXWRIGHT_URL": "https://fixwright.example.org"})
    process.save("gitlab", "eu", {"TOKEN": "t"})
    assert [process.of("gitlab", name)[OUR_URL] for name in ("", "eu")] == ["https://fixwright.example.org"] * 2


def test_the_store_is_looked_at_once_in_a_while_only(processes: Processes) -> None:
    web, worker = processes.process(), processes.process()
    worker.instances("github")
    web.save("github", "", STORED)
    assert worker.instances("github") == []
    assert worker.at_once("github", "") == worker.of("github", "")
    processes.now += FRESH
    assert worker.at_once("github", "") is None, "now the store must be asked"
    assert worker.instances("github") == [""]


def test_the_environment_goes_first_for_the_default_and_halves_are_not_mixed(processes: Processes) -> None:
    both = processes.process({"FIXWRIGHT_GITHUB_APP_ID": "1"})
    both.save("github", "", STORED)
    both.save("github", "acme", STORED | {"APP_ID": "8"})
    assert both.of("github", "")["APP_ID"] == "1"
    assert "PRIVATE_KEY" not in both.of("github", ""), "a key of another App fits nowhere"
    assert both.of("github", "acme")["APP_ID"] == "8"
    assert both.of("github", "github.com")["APP_ID"] == "1"
    assert both.instances("github") == ["", "acme"]
    assert [both.origin("github", name) for name in ("", "acme", "other")] == ["environment", "setup", ""]


def test_a_default_of_a_setting_stands_where_nothing_was_stored(processes: Processes) -> None:
    one = processes.process()
    one.save("github", "acme", {"APP_ID": "8"})
    assert one.of("github", "acme")["API_URL"] == "https://api.github.com"


def test_with_another_key_nothing_opens_and_that_is_known(processes: Processes) -> None:
    processes.process().save("github", "acme", STORED)
    other = processes.process(key="AQ" + KEY[2:])
    assert other.instances("github") == []
    assert other.locked("github") == ["acme"]
    assert STORED["WEBHOOK_SECRET"] not in other.of("github", "acme").values()


def test_sealed_settings_do_not_open_under_another_name(processes: Processes) -> None:
    """Whoever can write the database could else give one organization's App to another."""
    one = processes.process()
    one.save("github", "acme", STORED)
    with processes.database.work() as work:
        work.transaction.execute(update(instances).values(instance="globex"))
    assert processes.process().locked("github") == ["globex"]


def test_a_store_that_goes_away_changes_nothing_that_was_known(processes: Processes) -> None:
    one = processes.process()
    one.save("github", "", STORED)
    assert one.of("github", "")["APP_ID"] == "7"
    processes.database.dispose()
    (processes.folder / "fixwright.db").unlink()
    processes.now += FRESH
    assert one.of("github", "")["APP_ID"] == "7"


def test_without_a_store_nothing_can_be_saved_and_the_environment_works(processes: Processes) -> None:
    alone = processes.process({"FIXWRIGHT_GITHUB_APP_ID": "1"}, offline=True)
    assert alone.of("github", "")["APP_ID"] == "1"
    with pytest.raises(StoreError):
        alone.save("github", "", STORED)


# --- commands ---


@pytest.fixture
def fixwright(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The command line on a state of its own."""
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FIXWRIGHT_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("FIXWRIGHT_SECRET_KEY", KEY)
    yield tmp_path


def say(*arguments: str) -> tuple[int, str]:
    """Exit code and what was printed."""
    with redirect_stdout(io.StringIO()) as out:
        code = main(arguments)
    return code, out.getvalue()


def test_a_link_can_be_made_beside_the_running_processes(fixwright: Path) -> None:
    code, said = say("github", "setup-link", "--instance", "acme")
    assert code == 0
    address, _, token = said.strip().partition("?token=")
    assert address == "http://127.0.0.1:8080/setup"
    database = Database.open(f"sqlite:///{fixwright / 'fixwright.db'}")
    links = SetupLinks(StoredHostMemory(database, read_settings().subkey("host memory")))
    session = links.follow(token)
    assert session is not None
    target = links.target(session)
    assert target is not None and target.instance == "acme"
    database.dispose()


@pytest.mark.parametrize("name", ["Acme", "a.b", "../x", "-a", "a" * 80, ""])
def test_a_name_that_cannot_stand_in_an_address_is_refused(fixwright: Path, name: str) -> None:
    assert say("github", "setup-link", f"--instance={name}")[0] == 2


def test_the_default_that_the_environment_sets_is_not_replaced(fixwright: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIXWRIGHT_GITHUB_APP_ID", "1")
    assert say("github", "setup-link", "--instance", "default")[0] == 2
    assert say("github", "setup-link")[0] == 0


def test_instances_are_listed_and_forgotten_and_no_secret_is_printed(fixwright: Path) -> None:
    processes = Processes(fixwright)
    processes.process().save("github", "acme", STORED | {"SLUG": "fixwright-acme"})
    code, said = say("github", "instances")
    assert (code, said.split()[:4]) == (0, ["acme", "App", "7", "fixwright-acme"])
    assert STORED["WEBHOOK_SECRET"] not in said
    assert say("github", "remove", "acme")[0] == 0
    code, said = say("github", "instances")
    assert (code, said.startswith("nothing is set up")) == (0, True)
    assert say("github", "remove", "acme")[0] == 2
    processes.database.dispose()


def test_the_doctor_knows_what_was_stored_and_what_cannot_be_opened(fixwright: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    processes = Processes(fixwright)
    processes.process().save("github", "acme", STORED | {"PRIVATE_KEY": "no key at all"})
    code, said = say("doctor", "github")
    assert code == 3
    assert "instance acme" in said
    assert "neither PEM text nor the path of a PEM file" in said
    monkeypatch.setenv("FIXWRIGHT_SECRET_KEY", "AQ" + KEY[2:])
    code, said = say("doctor", "github")
    assert code == 3
    assert "cannot be opened with this FIXWRIGHT_SECRET_KEY" in said
    processes.database.dispose()


@pytest.mark.parametrize(
    ("command", "code"),
    [
        *((f"gitlab {words}", 2) for words in ("connect acme", "disconnect acme", "rotate")),
        *((words, 3) for words in ("gitlab instances", "doctor gitlab", "status --json")),
    ],
)
def test_every_command_says_the_same_of_what_cannot_be_opened(
    fixwright: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, code: int
) -> None:
    processes = Processes(fixwright)
    processes.process().save("gitlab", "", {"TOKEN": "a token of this " + "test"})
    processes.database.dispose()
    monkeypatch.setenv("FIXWRIGHT_SECRET_KEY", "AQ" + KEY[2:])
    assert main(command.split()) == code
    told = capsys.readouterr()
    said = told.out + told.err
    assert said.count("cannot be opened with this FIXWRIGHT_SECRET_KEY") == 1
    assert "put the key back" in said
    assert "fixwright gitlab setup" not in said  # it would overwrite what is stored


@pytest.mark.parametrize("command", ["gitlab connect acme", "gitlab disconnect acme", "gitlab rotate"])
def test_where_nothing_is_set_up_the_way_to_set_it_up_comes_first(
    fixwright: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    Processes(fixwright).database.dispose()
    assert main(command.split()) == 2
    assert capsys.readouterr().err == "fixwright: GitLab is not set up\n  run: fixwright gitlab setup\n"


def test_the_doctor_says_how_to_set_up_what_is_not(fixwright: Path) -> None:
    code, said = say("doctor", "github", "--instance", "nobody")
    assert code == 3
    assert "fixwright github setup-link" in said
