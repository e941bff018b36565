"""Lists over many repositories, put together from the lists of each."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

from sqlalchemy import Row

T = TypeVar("T")

TERMS: Final = 400
"""So many SELECTs stand in one statement. SQLite takes 500 (https://sqlite.org/limits.html, SQLITE_MAX_COMPOUND_SELECT), and where there
are many, asking for one after the other with a statement that is prepared once is less work than planning all of them."""


def parted(whole: Sequence[T], each: int) -> list[Sequence[T]]:
    """All in one part, or one by one when their SELECTs are too many.

    Args:
        each: how many SELECTs one of them makes.
    """
    return [whole] if len(whole) * each <= TERMS else [[one] for one in whole]


def paged(
    parts: Sequence[Sequence[T]], rows: Callable[[Sequence[T], int, int], Sequence[Row[Any]]], column: str, *, limit: int, skip: int
) -> list[Row[Any]]:
    """One row more than a page has, if there is one: largest `column` first.

    Args:
        rows: those of a part in that order: so many, behind so many that are passed over.
    """
    if len(parts) == 1:
        return list(rows(parts[0], limit + 1, skip))
    sorted_rows = (rows(part, skip + limit + 1, 0) for part in parts)
    merged = heapq.merge(*sorted_rows, key=lambda row: getattr(row, column), reverse=True)
    return list(islice(merged, skip, skip + limit + 1))
