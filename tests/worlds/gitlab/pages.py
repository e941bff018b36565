"""Lists in pages: numbered ones, and by keyset.

Source: GitLab docs, "REST API", "Pagination" (20 an answer, 100 at most; X-Total and its like; keyset by `id_after` and `Link`).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from tests.worlds.gitlab.call import Answer, Refused
from tests.worlds.gitlab.model import Json

USUAL, MOST = 20, 100
COUNTED = 10_000
"""Of longer lists GitLab tells no totals."""


def page(url: str, given: Json, answer: Answer) -> dict[str, str]:
    """Cut the page out of the answer's items and say where the others are. Raises Refused."""
    size = max(1, min(MOST, _number(given, "per_page", USUAL)))
    if given.get("pagination") == "keyset" and answer.key is not None:
        return _by_key(url, given, answer, size)
    return _by_number(url, given, answer, size)


def _number(given: Mapping[str, object], name: str, usual: int) -> int:
    value = str(given.get(name) or usual)
    if not value.isdigit():
        raise Refused(400, {"error": f"{name} is invalid"})
    return int(value)


def _shown(answer: Answer, items: list[object]) -> None:
    answer.body = [answer.show(item) for item in items] if answer.show else items


def _link(url: str, given: Json, more: Json, rel: str) -> str:
    flat = {name: value for name, value in (given | more).items() if not isinstance(value, dict)}
    return f'<{url}?{urlencode(sorted(flat.items()), doseq=True)}>; rel="{rel}"'


def _by_number(url: str, given: Json, answer: Answer, size: int) -> dict[str, str]:
    items = list(answer.items or ())
    number, last = max(1, _number(given, "page", 1)), max(1, -(-len(items) // size))
    _shown(answer, items[(number - 1) * size : number * size])
    following = number + 1 if number < last else None
    places = {"prev": number - 1 if number > 1 else None, "next": following, "first": 1, "last": last}
    links = [_link(url, given, {"page": to, "per_page": size}, rel) for rel, to in places.items() if to is not None]
    headers = {
        "x-page": str(number),
        "x-per-page": str(size),
        "x-next-page": str(following or ""),
        "x-prev-page": str(places["prev"] or ""),
        "link": ", ".join(links),
    }
    return headers | ({"x-total": str(len(items)), "x-total-pages": str(last)} if len(items) <= COUNTED else {})


def _by_key(url: str, given: Json, answer: Answer, size: int) -> dict[str, str]:
    if given.get("order_by", "id") != "id":
        raise Refused(405, {"error": "Keyset pagination is not yet available for this type of request"})
    key = answer.key
    assert key is not None
    rising = given.get("sort", "desc") == "asc"
    after, before = _number(given, "id_after", 0), _number(given, "id_before", 0)
    fitting = [item for item in answer.items or () if key(item) > after and (not before or key(item) < before)]
    fitting.sort(key=key, reverse=not rising)
    shown = fitting[:size]
    _shown(answer, shown)
    if len(fitting) <= size:
        return {}
    place = {"id_after" if rising else "id_before": key(shown[-1])}
    return {"link": _link(url, given, {"pagination": "keyset", "per_page": size} | place, "next")}
