"""Where GitHub lets us comment, and how our comments are known again."""

from __future__ import annotations

import pytest

from pipeline.markers import marked, same_text
from providers.github.api import cut
from providers.github.diffs import ChangedFile, commentable
from providers.github.markers import Author, Comment, is_about, mark_of

PATCH = "@@ -1,3 +1,4 @@\n a\n+b\n c\n d\n@@ -20 +21,2 @@ def f():\n-x\n+y\n+@@ -1,9 +1,99 @@\n"
FILES = [
    ChangedFile(filename="app.py", patch=PATCH),
    ChangedFile(filename="big.py"),
    ChangedFile(filename="gone.py", patch="@@ -1,2 +0,0 @@\n-a\n-b"),
]
BOT = "fixwright-test[bot]"


@pytest.mark.parametrize(
    ("path", "first", "last", "answer"),
    [
        ("app.py", 1, 1, True),
        ("app.py", 2, 4, True),
        ("app.py", 4, 5, False),
        ("app.py", 5, 5, False),
        ("app.py", 20, 21, False),
        ("app.py", 21, 22, True),
        ("app.py", 22, 23, False),
        ("app.py", 3, 22, False),
        ("app.py", 90, 90, False),
        ("other.py", 1, 1, False),
        ("big.py", 1, 1, None),
        ("gone.py", 1, 1, False),
    ],
)
def test_lines_of_one_hunk_take_a_comment(path: str, first: int, last: int, answer: bool | None) -> None:
    assert commentable(FILES, path, first, last) is answer


def comment(body: str, login: str = BOT, kind: str = "Bot") -> Comment:
    return Comment(id=1, body=body, user=Author(id=9, login=login, type=kind))


@pytest.mark.parametrize("key", ["v1:0123abcd", "99:fix", "a b", "x --> <!-- y", "--", "ä/ö?", ""])
def test_what_we_marked_is_found_again(key: str) -> None:
    body = marked("thread", key, "text")
    assert body.count("-->") == 1
    assert body.startswith("text\n\n<!-- fixwright:thread:v1:")
    assert is_about(comment(body), "thread", key, bot=BOT) is bool(key)
    assert is_about(comment(body + "\r\n"), "thread", key, bot=BOT) is bool(key)
    assert not is_about(comment(body), "comment", key, bot=BOT)
    assert not is_about(comment(body), "thread", key + "x", bot=BOT)


@pytest.mark.parametrize(
    "forged",
    [
        comment(marked("thread", "k", "x"), "mona", "User"),
        comment(marked("thread", "k", "x"), "fixwright-test", "User"),
        comment(marked("thread", "k", "x"), BOT, "User"),
        comment(marked("thread", "k", "x"), "other[bot]", "Bot"),
        Comment(id=1, body=marked("thread", "k", "x"), user=None),
        comment(marked("thread", "k", "x") + "\nsomebody quotes us"),
        Comment(id=1, body=None, user=Author(id=9, login=BOT, type="Bot")),
    ],
    ids=lambda forged: str(forged.user),
)
def test_a_mark_in_what_somebody_else_wrote_does_not_count(forged: Comment) -> None:
    assert mark_of(forged, "thread", bot=BOT) is None


def test_only_the_mark_at_the_very_end_counts() -> None:
    both = comment(marked("thread", "ours", marked("thread", "quoted", "x")))
    assert mark_of(both, "thread", bot=BOT) == "ours"


def test_bodies_that_differ_in_line_ends_are_the_same() -> None:
    assert same_text("a\r\nb\r\n", "a\nb")
    assert same_text(None, "")
    assert not same_text("a", "b")


@pytest.mark.parametrize(("text", "most", "result"), [("abc", 3, "abc"), ("abcd", 3, "…"), ("äöü", 5, "ä…"), ("a" * 10, 9, "a" * 6 + "…")])
def test_cutting_keeps_whole_characters(text: str, most: int, result: str) -> None:
    assert cut(text, most) == result
