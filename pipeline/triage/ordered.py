"""Do the values of a rewritten statement, command or page stand in the order in which they stood? Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from tree_sitter import Node

from pipeline.triage.nodes import CALLS, MEMBERS, called, flat, last_name, owner
from pipeline.triage.skeleton import Scope, given_to, is_statement, keywords, pairs_of, text_of

KEEPS = frozenset(
    """str String quote escape tuple list literal Markup bytes fsdecode fsencode toString text conditional_escape format_html Some
    escapeHtml escapeHTML encode""".split()  # noqa: SIM905 - a list of words
)
"""Functions that hand a value on as it is, or as the escape that the rule asks for."""
QUOTERS = frozenset(["escape", "quote", "replace", "replaceAll", "escapeId", "str", "String", "repr", "toString", "stringify"])
"""What people put around a value in a text that is put together, and drop when they bind it."""
NUMBERS = frozenset(["int", "float", "Number", "parseInt", "parseFloat", "Decimal"])

_MARK = re.compile(r"%\((\w+)\)s|%s|\$(\d+)|(?<![:\w]):([A-Za-z_]\w*)|(?<![@\w])@([A-Za-z_]\w*)|\?")


def same_text(node: Node) -> str:
    """An expression without its blanks and kinds of quotes."""
    return flat(node).replace('"', "'").replace("?.", ".")


def spellings(hole: Node) -> list[str]:
    """The expression as it stands, and without the escapes that are not needed any more when it is bound."""
    out = [same_text(hole)]
    node: Node = hole
    for _ in range(4):
        target = called(node) if node.type in CALLS else None
        if target is None or last_name(target) not in QUOTERS | KEEPS | NUMBERS:
            break
        receiver = owner(target) if target.type in MEMBERS else None
        given = given_to(node)
        takes = last_name(target) in ("replace", "replaceAll", "toString", "encode") or not given
        inner = receiver if takes else given[0]
        if inner is None:
            break
        node = inner
        out.append(same_text(node))
    return out


def out_of_order(before: Sequence[Node], after: Sequence[Node]) -> bool:
    """Whether the same values stand in another order, or one in the place of another."""
    known = [set(spellings(hole)) for hole in before]
    found = [next((n for n, names in enumerate(known) if names & set(spellings(hole))), -1) for hole in after]
    if len(known) != len(found) or -1 in found:
        return False  # put together otherwise: each is followed by itself
    return any(not known[at] & known[number] for number, at in enumerate(found))


def bound_otherwise(before: Sequence[Node], call: Node, scope: Scope) -> bool:
    """Whether a call binds values to other places of its statement than they had, or more of them than there are places.

    Args:
        before: the values as they stood in the statement.
    """
    given = given_to(call)
    if not given:
        return False
    named = keywords(call)
    statement = next(
        (one for one in (given[0], named.get("text"), named.get("sql")) if one is not None and is_statement(scope.pieces(one))), None
    )
    if statement is None:
        return False
    holder = named.get("values") if statement != given[0] else given[1] if len(given) > 1 else None
    if holder is None:
        return False
    if holder.type == "identifier" and len(made := scope.under.get(flat(holder), [])) == 1:
        holder = made[0]
    marks = list(_MARK.finditer(text_of(scope.pieces(statement))))
    by_name = pairs_of(holder)
    listed = [one for one in holder.named_children if one.type != "comment"] if holder.type in ("tuple", "list", "array") else []
    if call.type == "call" and len(given) > 2 and any(mark[2] for mark in marks):  # asyncpg takes one after the other
        listed = [one for one in given[1:] if one.type != "keyword_argument"]
    if not marks or any(one.type in ("list_splat", "spread_element") for one in listed):
        return False
    if (
        (len(marks) > 1 and _one_by_one(before, given))
        or _unfit(marks, holder, by_name, call)
        or (len(marks) > 1 and len(listed) == 1 and listed[0].type in ("tuple", "list", "array"))
    ):
        return True
    if listed and not any(mark[2] for mark in marks) and len(listed) != len(marks):
        return not any(one.type in ("tuple", "list", "array") for one in listed)
    bound = _bound(marks, by_name, listed)
    return len(bound) == len(marks) and out_of_order(before, bound)


def _unfit(marks: Sequence[re.Match[str]], holder: Node, by_name: Mapping[str, Node], call: Node) -> bool:
    """Whether what is handed over cannot be bound to these places: a set, which has no order, a name that is not in it, one bare value."""
    names = [mark[1] or mark[3] or mark[4] for mark in marks]
    if holder.type == "dictionary":  # in JavaScript it may be one of options, which hold the values
        spread = any(one.type == "dictionary_splat" for one in holder.named_children)
        return not spread and all(names) and not set(names) <= set(by_name)
    if call.type != "call" or last_name(called(call) or call) == "executemany":  # Python's drivers take one collection
        return False
    one_by_one = any(mark[2] for mark in marks)
    return holder.type == "set" or (len(marks) > 1 and len(given_to(call)) > 2 and not one_by_one)


def _one_by_one(before: Sequence[Node], given: Sequence[Node]) -> bool:
    """Whether a method of JavaScript that takes a list of values is handed them one after the other: the second is its callback."""
    call = given[0].parent.parent if given[0].parent is not None else None
    if call is None or call.type != "call_expression" or last_name(called(call) or call) not in ("query", "execute"):
        return False
    values = {name for hole in before for name in spellings(hole)}
    return len(given) > 2 and {same_text(given[1]), same_text(given[2])} <= values


_STYLES: Mapping[str, str] = {
    "sqlite3": "?:",
    "aiosqlite": "?:",
    "psycopg": "%",
    "psycopg2": "%",
    "pymysql": "%",
    "MySQLdb": "%",
    "mysql.connector": "%",
    "asyncpg": "$",
    "pg": "$",
    "mysql": "?:",
    "mysql2": "?:",
    "better-sqlite3": "?:@$",
}
"""By driver the signs with which its placeholders begin (PEP 249, `paramstyle`; node-postgres, "Parameterized query"; mysql2, README)."""


_TRANSLATE = frozenset(["django", "sqlalchemy", "flask_sqlalchemy", "peewee", "databases", "sequelize", "knex", "typeorm"])
"""What has placeholders of its own, whatever the driver below it has."""


def strange_marks(statement: str, imported: Iterable[str], known: Iterable[str]) -> bool:
    """Whether the placeholders of a statement are none for the only driver that a file imports.

    Args:
        imported: the modules.
        known: the other statements of the file: what one of them does already is no mistake.
    """
    styles = {
        _STYLES[driver] for module in imported for driver in _STYLES if module == driver or module.startswith((f"{driver}.", f"{driver}/"))
    }
    if len(styles) != 1:
        return False
    (style,) = styles
    marks = {mark[0][0] for mark in _MARK.finditer(statement)}
    return bool(marks) and not marks & set(style) and not any(marks & {mark[0][0] for mark in _MARK.finditer(other)} for other in known)


def _bound(marks: Sequence[re.Match[str]], by_name: Mapping[str, Node], listed: Sequence[Node]) -> list[Node]:
    """The value of each place, as far as they can be told."""
    out: list[Node] = []
    for turn, mark in enumerate(marks):
        name = mark[1] or mark[3] or mark[4]
        number = int(mark[2]) - 1 if mark[2] and len(mark[2]) < 4 else turn
        value = by_name.get(name) if name else listed[number] if 0 <= number < len(listed) else None
        if value is not None:
            out.append(value)
    return out
