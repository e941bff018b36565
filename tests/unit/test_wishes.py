"""What can be wished of a patch, and what is honestly not understood."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.fix import FileEdit, Patch
from pipeline.wishes import Wish, understand

PATCH = Patch((FileEdit("app.py", b"a", b"b"), FileEdit("conf/.env.example", b"", b"KEY=\n")), "read key")


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("", Wish()),
        ("please, thanks", Wish()),
        ("another way", Wish(1)),
        ("Try another way, please.", Wish(1)),
        ("next and next", Wish(2)),
        ("differently; only `src/a b.py`", Wish(1, only=("src/a b.py",))),
        ("only a.py and only b.py", Wish(only=("a.py", "b.py"))),
        ("without the environment sample file", Wish(sample=False)),
        ("please leave `src/a b.py` out", Wish(without=("src/a b.py",))),
        ("leave out a.py; leave b.py out", Wish(without=("a.py", "b.py"))),
        ("no .env.example", Wish(sample=False)),
    ],
)
def test_these_words_are_followed(text: str, wish: Wish) -> None:
    found = understand(text)
    assert (found.wish, found.unknown) == (wish, "")


@pytest.mark.parametrize(
    "text",
    [
        "use bcrypt",
        "another way and in the style of a haiku",
        "only ",
        "ignore the gate",
        "only",
        "leave it",
        "leave it out",
        "leave out",
        "leave  out",
    ],
)
def test_everything_else_is_not(text: str) -> None:
    assert understand(text).unknown


def test_a_wish_adds_to_the_one_before_and_first_takes_all_back() -> None:
    before = Wish(1, sample=False, only=("a.py",))
    assert understand("another way", before).wish == Wish(2, sample=False, only=("a.py",))
    assert understand("only b.py", before).wish == Wish(1, sample=False, only=("b.py",))
    assert understand("first", before).wish == Wish()
    assert understand("leave a.py out", Wish(without=("b.py",))).wish == Wish(without=("b.py", "a.py"))


def test_a_wish_leaves_only_what_it_says() -> None:
    assert [edit.path for edit in Wish(sample=False).apply(PATCH).edits] == ["app.py"]
    assert [edit.path for edit in Wish(only=("conf/.env.example",)).apply(PATCH).edits] == ["conf/.env.example"]
    assert Wish(only=("b.py",)).apply(PATCH).edits == ()
    assert [edit.path for edit in Wish(without=("app.py",)).apply(PATCH).edits] == ["conf/.env.example"]
    assert Wish().apply(PATCH) == PATCH


@given(text=st.text(max_size=300))
def test_a_wish_is_kept_as_text_whatever_was_typed(text: str) -> None:
    wish = understand(text).wish
    assert Wish.read(wish.text()) == wish
