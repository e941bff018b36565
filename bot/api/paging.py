"""Pages of lists: `limit` and `skip` as documented, and a cursor that is as fast at the end as at the beginning."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Annotated, Final, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field

from bot.api.errors import unfit

T = TypeVar("T")

COUNTED: Final = 10_000
"""Up to which `total` is exact."""

MOST_SKIPPED: Final = 2**31 - 1

Skip = Annotated[int, Query(ge=0, le=MOST_SKIPPED, description="How many items to pass over. A cursor is faster.")]
Cursor = Annotated[
    str | None, Query(max_length=500, description="`next_cursor` of the page before; takes the place of `skip`.", examples=[None])
]
Limit = Annotated[int, Query(ge=1, le=200, description="Items of a page.")]


class PublicPaginatedResponse(BaseModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    total: int = Field(description="Exact up to 10,000.")
    limit: int
    skip: int
    has_next: bool
    total_is_capped: bool = Field(default=False, description="True when there are more than `total` says.")
    next_cursor: str | None = Field(default=None, description="`cursor` of the next page.")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which page is wanted."""

    limit: int
    skip: int
    after: tuple[str, ...] | None
    """The key of the last item of the page before; None: from the beginning."""


def wanted(limit: int, skip: int, cursor: str | None, parts: int = 1) -> Wanted:
    """The page of a request.

    Args:
        parts: of how many texts a key consists.

    Raises:
        RequestValidationError: the cursor is none of ours.
    """
    return Wanted(limit, 0 if cursor else skip, None if not cursor else _read(cursor, parts))


def _read(cursor: str, parts: int) -> tuple[str, ...]:
    try:
        read = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        read = None
    plain = isinstance(read, list) and all(isinstance(one, str) and one.isascii() and one.isprintable() for one in read)
    if not plain or len(read) != parts:
        raise unfit("query", "cursor", "this is no cursor of this list; begin without one")
    return tuple(read)


def cursor_of(*key: str) -> str:
    """The cursor behind an item."""
    return base64.urlsafe_b64encode(json.dumps(list(key), separators=(",", ":")).encode()).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Rest:
    """What a page says of its list."""

    more: bool
    """Whether something follows."""
    total: int
    """Up to COUNTED + 1: then there are more."""
    last: tuple[str, ...] = ()
    """The key of the last item."""


def page(items: list[T], rest: Rest, asked: Wanted) -> PublicPaginatedResponse[T]:
    """The envelope."""
    return PublicPaginatedResponse[T](
        items=items,
        total=min(rest.total, COUNTED),
        total_is_capped=rest.total > COUNTED,
        limit=asked.limit,
        skip=asked.skip,
        has_next=rest.more,
        next_cursor=cursor_of(*rest.last) if rest.more else None,
    )
