"""What an operator does to repositories and plans from the command line, and what a caller of the API sees of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bot.cli import main
from tests.api.bench import ApiBench

ON_BOTH = pytest.mark.usefixtures("database_url")

PLANS = """
[plans.small]
prs = 1
repositories = 2
[plans.big]
repositories = 50
"""


class Desk:
    """A terminal beside the running server, over the same store."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def run(self, *arguments: str, status: int = 0) -> str:
        """What a command prints."""
        self._capsys.readouterr()
        code = main(arguments)
        said = self._capsys.readouterr()
        assert code == status, said.out + said.err
        return said.out if status == 0 else said.err


@pytest.fixture
def bench(tmp_path: Path, chosen: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiBench]:
    table = tmp_path / "plans.toml"
    table.write_text(PLANS)
    made = ApiBench(tmp_path, chosen, {"FIXWRIGHT_PLANS": str(table)})
    key = made.app.settings.environment["FIXWRIGHT_SECRET_KEY"]
    for name, value in {
        "FIXWRIGHT_SECRET_KEY": key,
        "FIXWRIGHT_STATE_DIR": str(made.state),
        "FIXWRIGHT_PLANS": str(table),
        "DATABASE_URL": chosen,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("REDIS_URL", raising=False)
    yield made
    made.close()


@pytest.fixture
def desk(capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(capsys)


def _names(found: dict[str, list[dict[str, str]]]) -> list[str]:
    return sorted(one["full_name"] for one in found["repositories"])


@ON_BOTH
def test_source_repositories_are_put_together_renamed_and_taken_apart(bench: ApiBench, desk: Desk) -> None:
    shop, web, tool = (bench.connect(name, {"a.txt": "fine\n"}) for name in ("shop", "web", "tool"))
    names = [one[0].source.full_name for one in (shop, web, tool)]
    said = desk.run("repositories", "group", "The shop", *names[:2], "--description", "All of it")
    identifier = said.split()[-1]
    seen = bench.caller.get(f"/repositories/{identifier}")
    assert (seen["name"], seen["description"], _names(seen)) == ("The shop", "All of it", sorted(names[:2]))
    bench.caller.get(f"/repositories/{shop[1]}", 404)
    desk.run("repositories", "group", "The shop", names[2], names[0])
    seen = bench.caller.get(f"/repositories/{identifier}")
    assert (seen["description"], _names(seen)) == ("All of it", sorted(names))
    assert f"The shop = {', '.join(sorted(names))}  default" in desk.run("repositories", "list").splitlines()
    (listed,) = json.loads(desk.run("repositories", "list", "--json"))["groups"]
    assert (listed["id"], len(listed["sources"])) == (identifier, 3)
    desk.run("repositories", "rename", "The shop", "Shop")
    desk.run("repositories", "ungroup", "Shop", names[0])
    assert _names(bench.caller.get(f"/repositories/{identifier}")) == sorted(names[1:])
    bench.caller.get(f"/repositories/{shop[1]}")
    assert "is archived" in desk.run("repositories", "ungroup", identifier)
    assert sorted(one["id"] for one in bench.caller.get("/repositories")["items"]) == sorted(one[1] for one in (shop, web, tool))
    assert bench.caller.get(f"/repositories/{identifier}")["archived"], "its scans can still be read"


def test_what_cannot_be_put_together_is_a_mistake_of_the_call(bench: ApiBench, desk: Desk) -> None:
    shop, web = (bench.connect(name, {"a.txt": "fine\n"})[0].source.full_name for name in ("shop", "web"))
    foreign = bench.connect("other", {"a.txt": "fine\n"}, "other")[0].source.full_name
    assert "several organizations: default, other" in desk.run("repositories", "group", "Both", shop, foreign, status=2)
    assert "no repository nobody/nothing" in desk.run("repositories", "group", "Both", shop, "nobody/nothing", status=2)
    desk.run("repositories", "group", "One", shop)
    desk.run("repositories", "group", "Two", web)
    assert "another repository already" in desk.run("repositories", "group", "Two", shop, status=2)
    assert "is called 'One' already" in desk.run("repositories", "rename", "Two", "One", status=2)
    assert "not all of them are in 'Two'" in desk.run("repositories", "ungroup", "Two", shop, status=2)
    assert "no repository 'Three'" in desk.run("repositories", "ungroup", "Three", status=2)
    assert "no repository 'One'" in desk.run("repositories", "ungroup", "One", "--organization", "other", status=2)
    desk.run("repositories", "rename", "One", "  ", status=2)
    assert sorted(one["name"] for one in bench.caller.get("/repositories")["items"]) == ["One", "Two"]


# --- plans ----------------------------------------------------------------------------------------------------------------------------


def test_an_organization_is_given_a_plan_that_is_there(bench: ApiBench, desk: Desk) -> None:
    assert bench.caller.get("/quotas/balance")["plan"] == "self_hosted"
    assert "big, self_hosted, small" in desk.run("quotas", "plan", "default", "huge", status=2)
    assert "no organization 'nobody'" in desk.run("quotas", "plan", "nobody", "small", status=2)
    desk.run("quotas", "plan", "default", "small")
    assert bench.caller.get("/quotas/balance")["prs"]["remaining"] == 1
    assert bench.other.get("/quotas/balance")["unlimited"]
    assert "3 left" in desk.run("quotas", "topup", "default", "prs", "2")
    assert bench.caller.get("/quotas/balance")["prs"] == {"plan": 1, "topup": 2, "used": 0, "remaining": 3, "unlimited": False}
    assert "prs            0 of 3" in desk.run("quotas", "show", "--organization", "default")
    shown = {one["slug"]: one for one in json.loads(desk.run("quotas", "show", "--json"))["organizations"]}
    assert (shown["default"]["plan"], shown["other"]["prs"]["limit"]) == ("small", None)


def test_more_than_the_plan_has_is_worked_on_and_nothing_is_added_to_it(bench: ApiBench, desk: Desk) -> None:
    made = [bench.connect(name, {"a.txt": "fine\n"}) for name in ("a", "b", "c")]
    ids, names = [one[1] for one in made], [one[0].source.full_name for one in made]
    kept = bench.caller.post("/repositories", {"name": "Kept", "source_repository_ids": ids[:2]}, 201)["id"]
    assert "they are still worked on" in desk.run("quotas", "plan", "default", "small")
    assert bench.caller.get("/quotas/balance")["repositories"] == {"max": 2, "current": 3}
    bench.caller.post(f"/repositories/{ids[2]}/scans", {"scan_type": "semgrep_scan"}, 202)
    refused = bench.caller.post("/repositories", {"name": "More", "source_repository_ids": ids[2:]}, 403)["detail"]
    assert (refused["error_code"], refused["quota_type"]) == ("OPERATION_FAILED", "repositories")
    assert "the plan 'small'" in desk.run("repositories", "group", "More", names[2], status=2)
    assert [one["id"] for one in bench.caller.get("/repositories")["items"]] == [ids[2], kept], "nothing was half done"
    bench.caller.patch(f"/repositories/{kept}", {"name": "Renamed", "archived": True})
    assert bench.caller.get("/quotas/balance")["repositories"]["current"] == 1
    refused = bench.caller.patch(f"/repositories/{kept}", {"archived": False, "name": "Back"}, 403)["detail"]
    assert refused["quota_type"] == "repositories"
    assert bench.caller.get(f"/repositories/{kept}")["name"] == "Renamed"
    bench.caller.patch(f"/repositories/{kept}", {"source_repository_ids": ids[:1]})  # one of them is in use again: two of two
    bench.caller.patch(f"/repositories/{kept}", {"source_repository_ids": []}, 403)
    desk.run("repositories", "disable", names[1])
    bench.caller.patch(f"/repositories/{kept}", {"source_repository_ids": []})
    assert "the plan 'small'" in desk.run("repositories", "enable", names[1], status=2)
    desk.run("quotas", "plan", "default", "big")
    desk.run("repositories", "enable", names[1])


@ON_BOTH
def test_two_who_take_the_last_place_at_once_do_not_both_get_it(bench: ApiBench, desk: Desk) -> None:
    ids = [bench.connect(f"r{number}", {"a.txt": "fine\n"})[1] for number in range(4)]
    groups = [bench.caller.post("/repositories", {"name": f"g{one}", "source_repository_ids": [one]}, 201)["id"] for one in ids]
    for one in groups:
        bench.caller.patch(f"/repositories/{one}", {"archived": True})
    desk.run("quotas", "plan", "default", "small")
    with ThreadPoolExecutor(4) as threads:
        statuses = list(threads.map(lambda one: bench.caller.ask("PATCH", f"/repositories/{one}", {"archived": False}).status_code, groups))
    assert sorted(statuses) == [200, 200, 403, 403]
    assert bench.caller.get("/quotas/balance")["repositories"]["current"] == 2
