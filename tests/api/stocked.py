"""An organization and a foreign one with something of everything that the API shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.store.organizations import DEFAULT
from tests.api.bench import ApiBench, Caller

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
        """True when the other organization's finding and fix are as they were."""
        path = f"/repositories/{self.others['repository_id']}"
        finding = self.api.other.get(f"{path}/findings/{self.others['finding_id']}")["status"]
        fix = self.api.other.get(f"{path}/fixes/{self.others['fix_id']}")
        return (finding, fix["status"], fix["attempt"], fix["pull_requests"]) == ("open", "completed", 1, [])


def stock(api: ApiBench) -> Stock:
    """Fill both organizations."""
    return Stock(api, _fill(api, DEFAULT, api.caller), _fill(api, "other", api.other))


def _fill(api: ApiBench, organization: str, caller: Caller) -> dict[str, str]:
    repo, repository = api.connect("shop", {"a.txt": "fine\nBAD old\nfine\n"}, organization)
    api.look(repository)
    (finding,) = caller.get(f"/repositories/{repository}/findings")["items"]
    scan = caller.post(f"/repositories/{repository}/scans", {"scan_type": "semgrep_scan"}, 202)
    wanted = {"finding_ids": [finding["id"]], "title": "x", "instructions": "mend it", "source_repo": repo.source.full_name}
    fix = caller.post(f"/repositories/{repository}/fixes", wanted, 201)
    api.work()
    ids = {"repository_id": repository, "finding_id": finding["id"], "scan_id": scan["batch_id"], "fix_id": fix["id"]}
    return {**ids, "key_id": str(caller.post("/api-keys", {"name": "spare"}, 201)["id"])}
