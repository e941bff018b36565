"""The repository of the demo: a small member list with old sins, and a change that adds two new ones.

Only the standard library, so that its tests run on a bare machine. The secrets are put together here: this file holds none.
"""

from __future__ import annotations

from typing import Final

OWNER, NAME = "acme", "members"
BRANCH: Final = "search-members"
TITLE: Final = "Search members by name"

# An AWS access key id has this shape (AWS docs, "IAM identifiers"); this one was never issued.
_KEY = "AKIA" + "Q3EGZ7WJ" + "T5LX2K7M"
_OLD_PASSWORD = "s3rv1ce-" + "Kx81" + "-Qpl0"

MAIN: Final[dict[str, str]] = {
    "README.md": "# Members\n\nA member list over WSGI and SQLite. Tests: `python3 -m unittest`.\n",
    "members/__init__.py": "",
    "members/store.py": '''"""Where members are kept."""

import sqlite3


def connect(path=":memory:"):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE IF NOT EXISTS members (id INTEGER PRIMARY KEY, name TEXT, mail TEXT)")
    return connection


def add(connection, name, mail):
    connection.execute("INSERT INTO members (name, mail) VALUES (?, ?)", (name, mail))
''',
    "members/web.py": '''"""The member list as a WSGI application."""

from urllib.parse import parse_qs


def everybody(environ, connection):
    order = parse_qs(environ.get("QUERY_STRING", "")).get("order", ["name"])[0]
    rows = connection.execute(f"SELECT name, mail FROM members ORDER BY {order}")
    return "\\n".join(f"{name} <{mail}>" for name, mail in rows)
''',
    "tools/restore.py": '''"""Unpacks last night's backup."""

import sys
import tarfile


def restore(path, target):
    with tarfile.open(path) as backup:
        backup.extractall(target)


if __name__ == "__main__":
    restore(sys.argv[1], sys.argv[2])
''',
    "config/legacy.ini": f"[mail]\nhost = mail.example.org\nuser = members\npassword = {_OLD_PASSWORD}\n",
    "tests/__init__.py": "",
    "tests/test_web.py": """import unittest

from members import store, web


class EverybodyTest(unittest.TestCase):
    def setUp(self):
        self.connection = store.connect()
        self.addCleanup(self.connection.close)
        store.add(self.connection, "Grace", "grace@example.org")
        store.add(self.connection, "Ada", "ada@example.org")

    def test_lists_everybody_by_name(self):
        listed = web.everybody({}, self.connection)
        self.assertEqual(listed, "Ada <ada@example.org>\\nGrace <grace@example.org>")
""",
}
"""Files of the base branch: three older findings that nobody asks the author of the change about."""

CHANGE: Final[dict[str, str]] = {
    "members/web.py": MAIN["members/web.py"]
    + """

def search(environ, connection):
    wanted = parse_qs(environ.get("QUERY_STRING", ""))
    name = wanted.get("name", [""])[0]
    statement = f"SELECT name, mail FROM members WHERE name = '{name}'"

    def line(row):
        shown = row[0].strip()
        if wanted.get("mail", ["yes"])[0] == "no":
            return shown
        return f"{shown} <{row[1]}>"

    rows = connection.execute(statement)
    return "\\n".join(line(row) for row in rows)
""",
    "config/backup.py": f'''"""Where backups go."""

BUCKET = "acme-members-backup"
AWS_ACCESS_KEY_ID = "{_KEY}"
''',
    "tests/test_search.py": """import unittest

from members import store, web


class SearchTest(unittest.TestCase):
    def setUp(self):
        self.connection = store.connect()
        self.addCleanup(self.connection.close)
        store.add(self.connection, "Ada", "ada@example.org")
        store.add(self.connection, "Grace", "grace@example.org")

    def test_finds_a_member_by_name(self):
        self.assertEqual(web.search({"QUERY_STRING": "name=Ada"}, self.connection), "Ada <ada@example.org>")

    def test_finds_nobody_for_an_unknown_name(self):
        self.assertEqual(web.search({"QUERY_STRING": "name=Nobody"}, self.connection), "")
""",
}
"""Files of the change: one SQL injection, one secret, and tests that run the new code."""

SECRET_TAIL: Final = _KEY[-4:]
