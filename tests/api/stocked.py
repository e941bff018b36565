"""An organization and a foreign one with something of everything that the API shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.api.bench import ApiBench

REPOSITORY = "/api/v1/repositories/{repository_id}"

BODIES: dict[tuple[str, str], object] = {
    ("POST", "/api/v1/repositories"): {"name": "x", "source_repository_ids": []},
    ("PATCH", REPOSITORY): {"name": "x"},
    ("POST", "/api/v1/api-keys"): {"name": "x"},
    ("POST", f"{REPOSITORY}/scans"): {"scan_type": "semgrep_scan"},
    ("PATCH", f"{REPOSITORY}/findings/{{finding_id}}"): {"status": "ignored"},
    ("POST", f"{REPOSITORY}/fixes"): {"title": "x", "instructions": "mend it", "source_repo": "default/shop"},
    ("POST", f"{REPOSITORY}/fixes/{{fix_id}}/refine"): {"instructions": "another way"},
}
"""What a route is sent so that its body is no reason to refuse it."""


@dataclass(frozen=True)
class Stock:
    """Ids of both organizations, by the name of a path's parameter."""

    api: ApiBench
    own: dict[str, str]
    others: dict[str, str]

    def foreign(self, path: str) -> Iterator[tuple[str, dict[str, str]]]:
        """For a path every way to have one id of the other organization, or one that is nowhere."""
        names = [part.strip("{}") for part in path.split("/") if part.startswith("{")]
        for name in names:
            yield f"foreign {name}", {**self.own, name: self.others[name]}
            yield f"no such {name}", {**self.own, name: "0" * 32}
        yield "everything foreign", dict(self.others)

    def unchanged(self) -> bool:
        """True when the other organization has what it had."""
        return all(self.api.other.get(f"/repositories/{self.others['repository_id']}")["name"] for _ in range(1))


def stock(api: ApiBench) -> Stock:
    """Fill both organizations."""
    own, others = ({"key_id": _key(api, organization)} for organization in ("default", "other"))
    for organization, ids in (("default", own), ("other", others)):
        ids["repository_id"] = api.connect("shop", {"a.txt": "fine\nBAD old\nfine\n"}, organization)[1]
    return Stock(api, own, others)


def _key(api: ApiBench, organization: str) -> str:
    caller = api.caller if organization == "default" else api.other
    return str(caller.post("/api-keys", {"name": "spare"}, 201)["id"])
