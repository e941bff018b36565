"""What all rewrites stand on: exact edits, SQL with holes, a shell's words, names."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.finding import Location
from pipeline.rewriting import shell, sql
from pipeline.rewriting.naming import parameter_name, upper_snake
from pipeline.rewriting.source import Change, Edit, apply, make_patch, open_source
from pipeline.rewriting.sql import Bound, Dialect, Style
from pipeline.rewriting.template import Hole, Part, Unit

SQLITE = Dialect(Style.QMARK, double_quotes=True)
POSTGRES = Dialect(Style.FORMAT)


def parts(text: str) -> list[Part]:
    """A template from text in which `<name>` is a hole."""
    found: list[Part] = []
    for index, piece in enumerate(text.replace(">", "<").split("<")):
        found += [Hole(piece, 0)] if index % 2 else [Unit(char, char, 0) for char in piece]
    return found


def bound(text: str, dialect: Dialect = SQLITE, *, already: bool = False) -> str | None:
    """The planned text, a parameter shown as `{...}`."""
    plan = sql.plan(parts(text), dialect, bound_already=already)
    if plan is None:
        return None
    shown = ""
    for piece in plan:
        if isinstance(piece, Bound):
            shown += "{" + "".join(part if isinstance(part, str) else part.code for part in piece.parts) + "}"
        else:
            shown += piece.raw
    return shown


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("SELECT * FROM t WHERE a = '<x>'", "SELECT * FROM t WHERE a = {x}"),
        ("SELECT * FROM t WHERE a LIKE '%<x>_'", "SELECT * FROM t WHERE a LIKE {%x_}"),
        ("SELECT * FROM t WHERE a = '<x>-<y>'", "SELECT * FROM t WHERE a = {x-y}"),
        ("SELECT * FROM t WHERE a BETWEEN <x> AND <y>", "SELECT * FROM t WHERE a BETWEEN {x} AND {y}"),
        ("SELECT * FROM t WHERE a IN ('<x>', '<y>')", "SELECT * FROM t WHERE a IN ({x}, {y})"),
        ("SELECT * FROM t WHERE a IN (<x>, <y>)", "SELECT * FROM t WHERE a IN ({x}, {y})"),
        ("INSERT INTO t VALUES (1, <x>)", "INSERT INTO t VALUES (1, {x})"),
        ("INSERT INTO t (a, b) VALUES ('<x>', 'it''s')", "INSERT INTO t (a, b) VALUES ({x}, 'it''s')"),
        ("UPDATE t SET a = <x>, b = b + <y> WHERE c = lower('<z>')", "UPDATE t SET a = {x}, b = b + {y} WHERE c = lower({z})"),
        ("SELECT CASE WHEN a = 1 THEN <x> ELSE <y> END FROM t", "SELECT CASE WHEN a = 1 THEN {x} ELSE {y} END FROM t"),
        ("SELECT * FROM t WHERE a = 'o''<x>'", "SELECT * FROM t WHERE a = {o'x}"),
        ("SELECT * FROM t WHERE a = '<x>' -- <comment", None),
        ("SELECT * FROM <t>", None),
        ("SELECT <a> FROM t", None),
        ("SELECT * FROM t ORDER BY <a>", None),
        ("SELECT * FROM t WHERE <a> = 1", None),
        ("SELECT * FROM t WHERE a = <sql>", None),
        ("SELECT * FROM t WHERE a = <x>.id", None),
        ("SELECT * FROM t WHERE a = <x><y>", None),
        ("SELECT * FROM t_<x> WHERE a = 1", None),
        ("SELECT * FROM `<x>`", None),
        ("SELECT * FROM t WHERE a IN (<x>)", None),
        ("SELECT * FROM t WHERE a = X'<x>'", None),
        ("SELECT a AS '<x>' FROM t", None),
        ("SELECT * FROM t WHERE a = '<x>", None),
        ("DROP TABLE <x>", None),
        ("SELECT 1; SELECT '<x>'", None),
        ("SELECT COUNT(<x>) FROM t", None),
        ("SELECT * FROM t WHERE a = '\\<x>'", None),
    ],
)
def test_only_values_are_bound(text: str, wanted: str | None) -> None:
    assert bound(text) == wanted


def test_percent_signs_are_doubled_for_drivers_that_read_them() -> None:
    assert bound("SELECT '5%' FROM t WHERE a = '<x>'", POSTGRES) == "SELECT '5%%' FROM t WHERE a = {x}"
    assert bound("SELECT '5%%' FROM t WHERE b = %s AND a LIKE '%%<x>'", POSTGRES, already=True) == (
        "SELECT '5%%' FROM t WHERE b = %s AND a LIKE {%x}"
    )


def test_a_placeholder_without_a_parameter_is_not_guessed_at() -> None:
    assert bound("SELECT * FROM t WHERE a = ? AND b = '<x>'") is None
    assert bound("SELECT * FROM t WHERE a = %s AND b = '<x>'", POSTGRES) is None


@given(st.lists(st.text("ab c'\"-=<>/.\t", min_size=1), max_size=5))
def test_words_are_those_of_a_shell(texts: list[str]) -> None:
    line = " ".join(shlex.quote(text) for text in texts)
    units = [Unit(char, char, 0) for char in f"printf {line}"]
    words = shell.split(units)
    assert words is not None
    assert ["".join(str(piece) for piece in word) for word in words] == ["printf", *texts]


LINES = """
a | b
a && b
a; b
a > f
a < f
a $HOME
a "$HOME"
a `b`
a *.py
a {1,2}
a \\ b
a ~
a # b
A=1 b
cd x
'a
ssh h x
sudo x
sh -c x
(a)
a &
"""


@pytest.mark.parametrize("line", [*LINES.split("\n"), "a\nb"])
def test_a_line_that_needs_its_shell_is_not_split(line: str) -> None:
    assert shell.split([Unit(char, char, 0) for char in line]) is None


def test_edits_that_overlap_are_refused() -> None:
    source = open_source("a.txt", b"abcdef")
    assert source is not None
    assert apply(source, [Edit(0, 3, "x"), Edit(2, 4, "y")]) is None
    assert apply(source, [Edit(0, 2, "x"), Edit(2, 2, "y"), Edit(4, 6, "")]) == b"xycd"


def test_another_encoding_comes_back_as_it_was() -> None:
    content = "# -*- coding: latin-1 -*-\nname = 'é'\nx = 1\n".encode("latin-1")
    source = open_source("a.py", content)
    assert source is not None
    at = source.data.index(b"x = 1")
    assert apply(source, [Edit(at, at + 5, "x = 'è'")]) == content.replace(b"x = 1", b"x = '\xe8'")
    assert apply(source, [Edit(at, at + 5, "x = '漢'")]) is None


def test_columns_are_characters_and_lines_count_when_they_do_not_fit() -> None:
    source = open_source("a.py", "é = f('é')\nb = 2\n".encode())
    assert source is not None
    start, end = source.range_of(Location("a.py", 1, 1, 5, 11))
    assert source.slice(start, end) == "f('é')"
    assert source.slice(*source.range_of(Location("a.py", 2, 2, 40, 60))) == "b = 2\n"
    assert source.range_of(Location("a.py", 99, 99)) == (len(source.data), len(source.data))


def test_a_change_that_changes_nothing_is_no_patch() -> None:
    source = open_source("a.py", b"x = 1\n")
    assert source is not None
    assert make_patch("f", source, Change((Edit(0, 1, "x"),), "title", "Said.")) is None


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("apiKey", "API_KEY"), ("api-key", "API_KEY"), ("AWSAccessKeyId", "AWS_ACCESS_KEY_ID"), ("2fa", "_2FA"), ("é", ""), ("a.b", "A_B")],
)
def test_names_of_the_environment(name: str, wanted: str) -> None:
    assert upper_snake(name) == wanted


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("name", "name"),
        ("user.name", "name"),
        ('form["q"]', "q"),
        ("args.get('id')", "id"),
        ("int(x)", "x"),
        ("a + b", "value"),
        ("class", "value"),
    ],
)
def test_names_of_parameters(code: str, wanted: str) -> None:
    assert parameter_name(code, ()) == wanted
    assert parameter_name(code, {wanted}) == f"{wanted}_2"
