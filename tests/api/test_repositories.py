"""Repositories: one source repository by itself, or several that were put together; never another organization's."""

from __future__ import annotations

import pytest

from tests.api.bench import ApiBench

ON_BOTH = pytest.mark.usefixtures("database_url")


@ON_BOTH
def test_each_source_repository_is_a_repository_by_itself(api: ApiBench) -> None:
    _, shop = api.connect("shop", {"a.txt": "fine\n"})
    _, foreign = api.connect("shop", {"a.txt": "fine\n"}, "other")
    (found,) = api.caller.get("/repositories")["items"]
    assert found["id"] == shop
    assert found["repositories"][0]["provider"] == "local"
    assert found["repositories"][0]["default_branch"] == "main"
    assert api.caller.get(f"/repositories/{shop}") == found
    assert api.caller.get(f"/repositories/{foreign}", 404)["detail"]["error_code"] == "NOT_FOUND"
    assert [one["id"] for one in api.other.get("/repositories")["items"]] == [foreign]


@ON_BOTH
def test_several_are_put_together_and_taken_apart_again(api: ApiBench) -> None:
    ids = [api.connect(name, {"a.txt": "fine\n"})[1] for name in ("shop", "web", "api")]
    made = api.caller.post("/repositories", {"name": "The shop", "description": "All of it", "source_repository_ids": ids[:2]}, 201)
    assert {one["id"] for one in made["repositories"]} == set(ids[:2])
    assert {one["id"] for one in api.caller.get("/repositories")["items"]} == {made["id"], ids[2]}
    api.caller.get(f"/repositories/{ids[0]}", 404)
    changed = api.caller.patch(f"/repositories/{made['id']}", {"source_repository_ids": ids[1:], "name": "Shop"})
    assert (changed["name"], changed["description"]) == ("Shop", "All of it")
    assert {one["id"] for one in changed["repositories"]} == set(ids[1:])
    assert api.caller.get(f"/repositories/{ids[0]}")["id"] == ids[0]
    api.caller.patch(f"/repositories/{made['id']}", {"archived": True})
    assert [one["id"] for one in api.caller.get("/repositories")["items"]] == [ids[0]]
    assert len(api.caller.get("/repositories", include_archived=True)["items"]) == 2


def test_what_cannot_be_put_together_is_said_and_nothing_is_changed(api: ApiBench) -> None:
    _, shop = api.connect("shop", {"a.txt": "fine\n"})
    _, foreign = api.connect("web", {"a.txt": "fine\n"}, "other")
    taken = api.caller.post("/repositories", {"name": "One", "source_repository_ids": [shop]}, 201)
    for ids, status in (([foreign], 404), (["nothing"], 404), ([shop, foreign], 404), ([shop], 409)):
        api.caller.post("/repositories", {"name": "Two", "source_repository_ids": ids}, status)
    assert [one["id"] for one in api.caller.get("/repositories")["items"]] == [taken["id"]]
    assert api.other.patch(f"/repositories/{foreign}", {"name": "x"}, 409)["detail"]["error_code"] == "INVALID_STATE"
    api.other.patch(f"/repositories/{taken['id']}", {"name": "x"}, 404)


@ON_BOTH
def test_pages_have_everything_once_by_skip_and_by_cursor(api: ApiBench) -> None:
    ids = [api.connect(f"r{number}", {"a.txt": "fine\n"})[1] for number in range(5)]
    by_skip = [one["id"] for skip in (0, 2, 4) for one in api.caller.get("/repositories", limit=2, skip=skip)["items"]]
    assert by_skip == ids
    seen, cursor = [], None
    while True:
        page = api.caller.get("/repositories", limit=2, cursor=cursor)
        seen += [one["id"] for one in page["items"]]
        assert page["total"] == 5
        cursor = page["next_cursor"]
        if not page["has_next"]:
            break
    assert (seen, cursor) == (ids, None)
    beyond = api.caller.get("/repositories", skip=2_000_000_000)
    assert (beyond["items"], beyond["has_next"], beyond["total"]) == ([], False, 5)
    for cursor in ("zzz", "W10", "WyJcdTAwMDAiXQ"):
        api.caller.get("/repositories", 422, cursor=cursor)
