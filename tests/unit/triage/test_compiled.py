"""What the gate reads of Go and Java: nothing that a patch takes away may go unseen."""

from __future__ import annotations

import pytest

from pipeline.model.fix import FileEdit
from pipeline.triage.outline import outline
from pipeline.triage.sites import NotMutable, sites

GO = b"""package shop

import (
	"fmt"
	pg "github.com/lib/pq"
)

type Users struct{ db *DB }

func (u *Users) Find(name, table string) (*Row, error) {
	query := fmt.Sprintf("SELECT * FROM %s WHERE n = '%s'", table, name)
	u.last = query
	return u.db.Query(query)
	log.Print("never")
}

func main() {
	http.HandleFunc("/users", list)
}
"""
JAVA = b"""package shop;

import java.sql.Statement;

class Users {
  Users(Db db) { this.db = db; }
  Row find(Statement statement, String name) throws Exception {
    String query = "SELECT 1 WHERE n = '" + name + "'";
    return statement.executeQuery(query);
  }
}
"""


def test_definitions_routes_and_imports_are_seen() -> None:
    go, java = outline("a.go", GO), outline("Users.java", JAVA)
    assert go is not None
    assert java is not None
    assert [(one.name, one.parameters) for one in go.definitions] == [("Users", ()), ("Users.Find", ("name", "table")), ("main", ())]
    assert [(one.name, one.parameters) for one in java.definitions] == [
        ("Users", ()),
        ("Users.Users", ("db",)),
        ("Users.find", ("statement", "name")),
    ]
    assert go.routes == ["http.HandleFunc /users"]
    assert go.imported == {"fmt": "fmt", "pg": "github.com/lib/pq"}
    assert java.imported == {"Statement": "java.sql.Statement"}


def test_statements_tell_what_they_call_build_and_write() -> None:
    go, java = outline("a.go", GO), outline("Users.java", JAVA)
    assert go is not None
    assert java is not None
    built, written, returned, never = (unit for unit in go.units if unit.scope == "Users.Find")
    assert (built.binds, built.built) == ({"query"}, {"table", "name"})
    assert written.written == {"last"}
    assert [call.path for call in returned.calls] == ["u.db.Query"]
    assert [unit.unreachable for unit in (built, written, returned, never)] == [False, False, False, True]
    built, returned = (unit for unit in java.units if unit.scope == "Users.find")
    assert (built.binds, built.built) == ({"query"}, {"name"})
    assert [(call.path, call.root, call.given) for call in returned.calls] == [
        ("statement.executeQuery", "statement", frozenset({"query"}))
    ]


@pytest.mark.parametrize(("path", "content"), [("a.go", GO), ("Users.java", JAVA)])
def test_nothing_is_broken_on_purpose_in_a_compiled_language(path: str, content: bytes) -> None:
    with pytest.raises(NotMutable, match="compiled"):
        sites(FileEdit(path, content, content.replace(b"query", b"other")))
