"""A patch that changes the words around a value, the value on its way, or what else the call is given, is no fix."""

from __future__ import annotations

import pytest

from pipeline.model.finding import Confidence, Finding, Location, Rule, Severity
from pipeline.model.fix import FileEdit, Patch
from pipeline.triage.options import other_options
from pipeline.triage.survival import sides_of
from pipeline.triage.wording import other_wording


def said(rule: str, cwe: int, before: str, old: str, new: str) -> str:
    """Of the file in which `new` stands for `old`."""
    path = "app.py" if rule.startswith("python") else "app.js"
    line = before[: before.index(old)].count("\n") + 1
    known = Rule(rule, "title", "message", Severity.HIGH, Confidence.HIGH, cwe)
    finding = Finding(known, Location(path, line, line, 1, 1), "v1:" + "0" * 32, "semgrep")
    (side,) = sides_of(Patch((FileEdit(path, before.encode(), before.replace(old, new).encode()),)))
    return "; ".join([*other_wording(side, finding), *other_options(side, finding)])


SQL = """
def find(db, name, limit):
    rows = db.execute(f"SELECT id FROM users WHERE name = '{name}' AND kind LIKE '%{name}%' LIMIT {limit}")
    return rows
"""
OLD = "f\"SELECT id FROM users WHERE name = '{name}' AND kind LIKE '%{name}%' LIMIT {limit}\""
NEW = '"SELECT id FROM users WHERE name = ? AND kind LIKE ? LIMIT ?", (name, f"%{name}%", limit)'


@pytest.mark.parametrize(
    "new",
    [
        NEW,
        NEW.replace("?", "%s"),
        NEW.replace("(name,", "(str(name),").replace("limit)", "int(limit))"),
        NEW.replace('f"%{name}%"', '"%" + name + "%"'),
        NEW.replace("LIKE ?", "LIKE '%' || ? || '%'").replace('f"%{name}%"', "name"),
        NEW.replace("SELECT id", "select id"),
        "text(\"SELECT id FROM users WHERE name = :a AND kind LIKE :b LIMIT :c\"), {'a': name, 'b': f'%{name}%', 'c': limit}",
    ],
)
def test_bound_values_in_the_same_statement_are_the_fix(new: str) -> None:
    assert said("python.sql-injection", 89, SQL, OLD, new) == ""


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (NEW.replace("name = ?", "name = ? OR 1=1"), "`or` stands where `and` did"),
        (NEW.replace("name = ?", "name <> ?"), "`<>` stands where `=` did"),
        (NEW.replace("LIMIT ?", "LIMIT 0"), "`0` stands where a value did"),
        (NEW.replace("SELECT id", "SELECT id, password"), "`,` stands where `from` did"),
        (NEW.replace("name = ?", "name = '?'"), "a text stands where a value did"),
        (NEW.replace("kind LIKE", "name LIKE"), "`name` stands where `kind` did"),
        (NEW.replace("AND", "OR"), "`or` stands where `and` did"),
        (NEW.replace("name", "name.lower()").replace("name.lower() =", "name ="), "`name` is changed on its way"),
        (NEW.replace("limit)", "limit[1:])"), "`limit` is changed on its way"),
        (NEW.replace("limit)", "bigger(limit))"), "`limit` is changed on its way"),
    ],
)
def test_another_statement_or_another_value_is_not(new: str, why: str) -> None:
    assert why in said("python.sql-injection", 89, SQL, OLD, new)


COMMAND = """
def ping(host, count):
    done = subprocess.run(f"ping -c {count} --tag='{host}' {host}", shell=True, capture_output=True, check=True)
    return done
"""
TEXT = "f\"ping -c {count} --tag='{host}' {host}\", shell=True"
LIST = '["ping", "-c", str(count), f"--tag={host}", host]'


@pytest.mark.parametrize("new", [LIST, LIST.replace(" host]", ' "--", host]'), LIST.replace('"ping"', '"/bin/ping"')])
def test_the_words_of_a_command_as_a_list_are_the_fix(new: str) -> None:
    assert said("python.command-injection", 78, COMMAND, TEXT, new) == ""


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (LIST.replace('"-c", ', ""), "`-c` is gone"),
        (LIST.replace('"-c"', '"-i"'), "`-c` is gone"),
        (LIST.replace(", host]", ', host, "-f"]'), "`-f` is new"),
        (LIST.replace('"ping", "-c"', '"-c", "ping"'), "their order"),
        (LIST.replace(", host]", ", host.lower()]").replace("{host}", "{host.lower()}"), "`host` is changed on its way"),
    ],
)
def test_another_command_is_not(new: str, why: str) -> None:
    assert why in said("python.command-injection", 78, COMMAND, TEXT, new)


def test_what_else_the_call_was_given_stays() -> None:
    old = TEXT + ", capture_output=True"
    assert "`capture_output` is no longer given" in said("python.command-injection", 78, COMMAND, old, LIST)
    assert "`check` " not in said("python.command-injection", 78, COMMAND, TEXT, LIST)
    changed = said("python.command-injection", 78, COMMAND, old, LIST + ", capture_output=False")
    assert "`capture_output` has another value now" in changed


SHOP = """
app.get("/u", (req, res) => {
  db.all(`SELECT id FROM users WHERE name = '${req.query.name}'`, (error, rows) => res.json(rows));
});
"""
HOLE = "`SELECT id FROM users WHERE name = '${req.query.name}'`"
BOUND = '"SELECT id FROM users WHERE name = ?", [req.query.name]'


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (BOUND, ""),
        (BOUND.replace("[req.query.name]", '[req.query["name"]]'), ""),
        (BOUND.replace("= ?", "= ? OR 1=1"), "`or` stands where its end did"),
        (BOUND.replace("= ?", "<> ?"), "`<>` stands where `=` did"),
        (BOUND.replace("= ?", "= '?'"), "a text stands where a value did"),
        (BOUND.replace("query.name", "query.names"), "`name` of the request is no longer read"),
        (BOUND.replace("query.name", "query.name.toLowerCase()"), "is changed on its way"),
    ],
)
def test_javascript_is_read_the_same_way(new: str, why: str) -> None:
    found = said("javascript.sql-injection", 89, SHOP, HOLE, new)
    assert why in found if why else found == ""


PAGE = """
def hello(name):
    return f"<p>Hello {name}</p>"
"""


@pytest.mark.parametrize(
    ("new", "why"),
    [
        ('f"<p>Hello {escape(name)}</p>"', ""),
        ('Markup("<p>Hello {}</p>").format(name)', ""),
        ('Markup("<p>Hello %s</p>") % name', ""),
        ('render_template_string("<p>Hello {{ name }}</p>", name=name)', ""),
        ('f"<p>Hello {escape(name)}</p><script src=//evil.example/x.js></script>"', "the markup around the value is another one"),
        ('f"<script>x = {escape(name)}</script>"', "the markup around the value is another one"),
        ('f"{escape(name)}"', "the text around the value is gone"),
        ('f"<p>Hello {escape(name.upper())}</p>"', "`name` is changed on its way"),
    ],
)
def test_the_page_around_an_escaped_value_stays(new: str, why: str) -> None:
    found = said("python.html-injection", 79, PAGE, 'f"<p>Hello {name}</p>"', new)
    assert why in found if why else found == ""


COOKIE = """
def login(response):
    response.set_cookie("session", "abc", max_age=60, secure=False)
"""


@pytest.mark.parametrize(
    ("new", "why"),
    [
        ('"session", "abc", max_age=60, secure=True, httponly=True, samesite="Lax"', ""),
        ('"session", "abd", max_age=60, secure=True', "is given another value now"),
        ('"session", "abc", secure=True', "`max_age` is no longer given"),
        ('"session", "abc", max_age=315360000, secure=True', "`max_age` has another value now"),
        ('"session", "abc", max_age=60, secure=True, domain="example.com"', "`domain` is given to"),
        ('"session", "abc", max_age=60, secure=True, samesite="None"', "requests from other sites"),
    ],
)
def test_a_cookie_keeps_what_is_in_it(new: str, why: str) -> None:
    found = said("python.insecure-cookie", 614, COOKIE, '"session", "abc", max_age=60, secure=False', new)
    assert why in found if why else found == ""


FILE = """
def show(name):
    return send_file(os.path.join(ROOT, name))
"""


@pytest.mark.parametrize(
    ("new", "why"),
    [
        ("send_file(safe_join(ROOT, name))", ""),
        ("send_from_directory(ROOT, name)", ""),
        ('send_file(safe_join("/etc", name))', "is the folder now"),
        ("send_file(safe_join(name, ROOT))", "is the folder now"),
        ("send_file(safe_join(OTHER, name))", "is the folder now"),
    ],
)
def test_the_folder_stays_the_folder(new: str, why: str) -> None:
    found = said("python.path-traversal", 22, FILE, "send_file(os.path.join(ROOT, name))", new)
    assert why in found if why else found == ""


@pytest.mark.parametrize(
    ("new", "why"),
    [
        ("yaml.safe_load(text)", ""),
        ("yaml.load(text, Loader=yaml.SafeLoader)", ""),
        ("yaml.safe_load_all(text)", "gives something else"),
        ("json.loads(text)", "gives something else"),
        ("yaml.safe_load(text.strip())", "another text is read now"),
    ],
)
def test_the_same_document_is_read(new: str, why: str) -> None:
    found = said(
        "python.unsafe-yaml",
        502,
        "\ndef read(text):\n    return yaml.load(text, Loader=yaml.Loader)\n",
        "yaml.load(text, Loader=yaml.Loader)",
        new,
    )
    assert why in found if why else found == ""


TWO = """
def find(db, name, city):
    return db.execute("SELECT id FROM users WHERE name = '" + name + "' AND city = '" + city + "'")
"""
JOINED = '"SELECT id FROM users WHERE name = \'" + name + "\' AND city = \'" + city + "\'"'
PLACES = '"SELECT id FROM users WHERE name = ? AND city = ?", '
NAMES = '"SELECT id FROM users WHERE name = :name AND city = :city", '


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (PLACES + "(name, city)", ""),
        (PLACES + "[name, city]", ""),
        (NAMES + '{"city": city, "name": name}', ""),
        (PLACES + "(city, name)", "bound to other places"),
        (PLACES + "(name, city, name)", "bound to other places"),
        (PLACES + "(name,)", "bound to other places"),
        (NAMES + '{"name": city, "city": name}', "bound to other places"),
        (PLACES + "(name, city or name)", "`city` is changed on its way"),
    ],
)
def test_values_are_bound_where_they_stood(new: str, why: str) -> None:
    found = said("python.sql-injection", 89, TWO, JOINED, new)
    assert why in found if why else found == ""


@pytest.mark.parametrize(
    ("new", "why"),
    [
        ('pool.query("SELECT id FROM users WHERE name = $1 AND city = $2", [name, city])', ""),
        ('pool.query({ text: "SELECT id FROM users WHERE name = $1 AND city = $2", values: [name, city] })', ""),
        ('pool.query("SELECT id FROM users WHERE name = $2 AND city = $1", [city, name])', ""),
        ('pool.query("SELECT id FROM users WHERE name = $2 AND city = $1", [name, city])', "bound to other places"),
        ('pool.query({ text: "SELECT id FROM users WHERE name = $1 AND city = $2", values: [city, name] })', "bound to other places"),
    ],
)
def test_numbered_places_are_read_by_their_numbers(new: str, why: str) -> None:
    old = "pool.query(`SELECT id FROM users WHERE name = '${name}' AND city = '${city}'`)"
    found = said("javascript.sql-injection", 89, f"function find(name, city) {{\n  return {old};\n}}\n", old, new)
    assert why in found if why else found == ""


@pytest.mark.parametrize(
    ("command", "old", "new", "why"),
    [
        ("cp {a} {b}", "shell=True", ["cp", "a", "b"], ""),
        ("cp {a} {b}", "shell=True", ["cp", "b", "a"], "other places of the command"),
    ],
)
def test_the_values_of_a_command_keep_their_places(command: str, old: str, new: list[str], why: str) -> None:
    before = f'def copy(a, b):\n    subprocess.run(f"{command}", {old})\n'
    made = f'["{new[0]}", {new[1]}, {new[2]}]'
    found = said("python.command-injection", 78, before, f'f"{command}", {old}', made)
    assert why in found if why else found == ""


PIPE = "def count(a, b):\n    subprocess.run(f\"cat '{a}' | grep -c x > {b}\", shell=True)\n"


@pytest.mark.parametrize(
    ("new", "why"),
    [
        ("cat {shlex.quote(a)} | grep -c x > {shlex.quote(b)}", ""),
        ("cat {shlex.quote(a)} | grep -v x > {shlex.quote(b)}", "`-c` is gone"),
        ("cat {shlex.quote(a)} | grep -c x >> {shlex.quote(b)}", "`>` is gone"),
        ("cat {shlex.quote(b)} | grep -c x > {shlex.quote(a)}", "other places of the command"),
    ],
)
def test_what_only_a_shell_can_read_keeps_its_words(new: str, why: str) -> None:
    found = said("python.command-injection", 78, PIPE, "cat '{a}' | grep -c x > {b}", new)
    assert why in found if why else found == ""


GET = 'def load(url, key):\n    return requests.get(url, headers={"a": key}, verify=False)\n'


@pytest.mark.parametrize(
    ("new", "why"),
    [
        ('requests.get(url, headers={"a": key})', ""),
        ('requests.get(url, headers={"a": key}, verify=True)', ""),
        ('requests.post(url, headers={"a": key})', "is no longer called"),
        ('requests.get(url.lower(), headers={"a": key})', "is given another value now"),
        ('requests.get(url, headers={"b": key})', "`headers` has another value now"),
        ("requests.get(url)", "`headers` is no longer given"),
        ('requests.get(url, headers={"a": key}, allow_redirects=False)', "`allow_redirects` is given"),
    ],
)
def test_a_request_stays_the_same_request(new: str, why: str) -> None:
    old = 'requests.get(url, headers={"a": key}, verify=False)'
    found = said("python.tls-verification-disabled", 295, GET, old, new)
    assert why in found if why else found == ""


@pytest.mark.parametrize(
    ("new", "why"),
    [
        ("res.sendFile(path.join(ROOT, path.basename(req.params.name)))", ""),
        ("res.sendFile(req.params.name, { root: ROOT })", ""),
        ("res.sendFile(path.join(OTHER, path.basename(req.params.name)))", "`OTHER` is the folder now"),
        ('res.sendFile(req.params.name, { root: "/" })', "is the folder now"),
        ('res.sendFile(path.join(ROOT, path.basename(req.params.name), ".."))', "leads out of the folder"),
    ],
)
def test_a_file_is_sent_from_the_same_folder(new: str, why: str) -> None:
    old = "res.sendFile(path.join(ROOT, req.params.name))"
    found = said("javascript.path-traversal", 22, f"function show(req, res) {{\n  {old};\n}}\n", old, new)
    assert why in found if why else found == ""


NAMED = "text(\"SELECT id FROM users WHERE name = :a AND kind LIKE :b LIMIT :c\"), {'a': name, 'b': f'%{name}%', 'c': limit}"


@pytest.mark.parametrize(
    "new",
    [
        NAMED.replace("'b':", "'kind':"),
        NEW.replace('(name, f"%{name}%", limit)', '{name, f"%{name}%", limit}'),
        NEW.replace('(name, f"%{name}%", limit)', '([name, f"%{name}%", limit],)'),
        NEW.replace('(name, f"%{name}%", limit)', 'name, f"%{name}%", limit'),
    ],
)
def test_what_no_driver_can_bind_is_refused(new: str) -> None:
    assert said("python.sql-injection", 89, SQL, OLD, new)
