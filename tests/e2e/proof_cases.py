"""Good fixes and bad patches for the gate, written ones from `tests/samples/proof`.

A case is a folder named for a rule: `before`, `good-*` (fixes that must be accepted), `bad-*` (patches that must be refused; the name is
the operator; `bad-x.new.y.py` is a file that `bad-x` adds), and `statements.txt` (each put in the place of the flagged statement, each
bad). What is made of these mechanically: `tests.e2e.proof_operators`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.model.finding import Confidence, Finding, Location, Rule, Severity
from pipeline.model.fix import FileEdit, Patch
from pipeline.rulebook import load
from pipeline.triage.fingerprint import identify
from pipeline.triage.outline import Unit, outline

FOLDER = Path(__file__).resolve().parent.parent / "samples" / "proof"

TEST_PY = b"""import unittest


class ShopTest(unittest.TestCase):
    def test_sum(self):
        self.assertEqual(1 + 1, 2)

    def test_order(self):
        self.assertLess(1, 2)
"""
TEST_JS = b"""const test = require("node:test");
const assert = require("node:assert");

test("sum", () => assert.equal(1 + 1, 2));
test("order", () => assert.ok(1 < 2));
"""
SURROUNDINGS: Mapping[str, bytes] = {
    "README.md": b"# Shop\n",
    ".github/workflows/ci.yml": b"on: push\njobs: {}\n",
    ".github/fixwright.yml": b"gate:\n  block: high\n",
    "CODEOWNERS": b"* @owner\n",
    "package-lock.json": b'{"lockfileVersion": 3}\n',
    "package.json": b'{"scripts": {"test": "node --test"}}\n',
    "pyproject.toml": b'[project]\nname = "shop"\n',
    "tests/test_shop.py": TEST_PY,
    "test/shop.test.js": TEST_JS,
}
"""What else lies in the repository of every case."""


@dataclass(frozen=True)
class Case:
    """One rule's example."""

    rule: str
    path: str
    before: bytes
    good: Mapping[str, bytes]
    bad: Mapping[str, Mapping[str, bytes]]
    """Operator -> contents of the files that the patch leaves (the flagged file among them)."""
    cwe: int
    statements: tuple[bytes, ...] = ()
    """Each is a bad replacement of the flagged statement."""

    @property
    def python(self) -> bool:
        """True for a case in Python."""
        return self.path.endswith(".py")

    def files(self) -> dict[str, bytes]:
        """The repository before the patch."""
        return {**SURROUNDINGS, self.path: self.before}

    def patch(self, after: Mapping[str, bytes | None]) -> Patch:
        """The patch that leads to these contents (None: deleted)."""
        now = self.files()
        return Patch(tuple(FileEdit(path, now.get(path), content) for path, content in sorted(after.items()) if now.get(path) != content))


@dataclass
class Memory:
    """A repository state in memory."""

    contents: Mapping[str, bytes]
    laid_out: int = field(default=0)

    def read(self, path: str) -> bytes | None:
        """See `pipeline.ports.SourceFiles`."""
        return self.contents.get(path)

    def paths(self) -> Sequence[str]:
        """See `pipeline.ports.SourceFiles`."""
        return sorted(self.contents)

    def materialise(self, folder: Path) -> str:
        """See `pipeline.stages.sources.RepositoryFiles`."""
        self.laid_out += 1
        for path, content in self.contents.items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        return ""


def load_cases() -> list[Case]:
    """All cases of programs, by rule."""
    return [_load(folder) for folder in sorted(FOLDER.iterdir()) if folder.name.startswith(("javascript-", "python-"))]


def load_plain_cases() -> list[Case]:
    """All cases of workflows, Dockerfiles and Go: written ones alone. What is made mechanically of statements does not apply to them."""
    return [_load_plain(folder) for folder in sorted(FOLDER.iterdir()) if folder.name.startswith(("workflow-", "dockerfile-", "go-"))]


def _load_plain(folder: Path) -> Case:
    language, _, name = folder.name.partition("-")
    before = next(folder.glob("before.*"))
    path = {"workflow": f".github/workflows/greet{before.suffix}", "go": "shop/users.go"}.get(language, "Dockerfile")
    good = {file.stem.removeprefix("good-"): file.read_bytes() for file in sorted(folder.glob("good-*"))}
    bad: dict[str, dict[str, bytes]] = {file.stem.removeprefix("bad-"): {path: file.read_bytes()} for file in sorted(folder.glob("bad-*"))}
    return Case(f"{language}.{name}", path, before.read_bytes(), good, bad, load().rules[f"{language}.{name}"].cwe)


def _load(folder: Path) -> Case:
    language, _, name = folder.name.partition("-")
    suffix = ".py" if language == "python" else ".js"
    path = "shop/views.py" if language == "python" else "shop/views.js"
    good = {file.stem.removeprefix("good-"): file.read_bytes() for file in sorted(folder.glob(f"good-*{suffix}"))}
    bad: dict[str, dict[str, bytes]] = {}
    for file in sorted(folder.glob(f"bad-*{suffix}")):
        operator, _, new = file.name.removeprefix("bad-").removesuffix(suffix).partition(".new.")
        target = f"shop/{new}{suffix}" if new else path
        bad.setdefault(operator, {})[target] = file.read_bytes()
    statements = tuple((folder / "statements.txt").read_bytes().strip().split(b"\n---\n"))
    return Case(
        f"{language}.{name}", path, (folder / f"before{suffix}").read_bytes(), good, bad, load().rules[f"{language}.{name}"].cwe, statements
    )


def stand_in(case: Case) -> Finding:
    """A finding as the engine would report it, for tests without engines: on the statement that all good fixes change."""
    unit = flagged(case)
    rule = Rule(case.rule, "title", "message", Severity.HIGH, Confidence.HIGH, case.cwe)
    return identify(Finding(rule, _location(case, unit), "", "semgrep"), case.before)


def _location(case: Case, unit: Unit) -> Location:
    starts = [case.before.rfind(b"\n", 0, place) + 1 for place in (unit.start, unit.end)]
    return Location(case.path, unit.line, unit.end_line, unit.start - starts[0] + 1, unit.end - starts[1] + 1)


def flagged(case: Case) -> Unit:
    """The innermost statement of `before` that the first good fix changes and that does something."""
    read = outline(case.path, case.before)
    good = outline(case.path, next(iter(case.good.values())))
    assert read is not None
    assert good is not None
    texts = {unit.text for unit in good.units}
    changed = [unit for unit in read.units if unit.text not in texts and not unit.imports and not unit.empty]
    return next(u for u in reversed(changed) if not any(o is not u and u.start <= o.start and o.end <= u.end for o in changed))


def secret_case() -> Case:
    """A token in the source. Made here, so that no file of ours holds anything that looks like one."""
    value = "ghp_" + "k3Vx9QmZ7tRw2LbY5nHc8FdJ4sGp6XeA1uTo"
    start = (
        f'"""Calls to the host."""\n\nimport os\n\nTOKEN = "{value}"\n\n\ndef headers():\n    return {{"token": TOKEN, "home": os.name}}\n'
    )
    packed = base64.b64encode(value.encode()).decode()

    def with_(line: str, lead: str = "") -> bytes:
        return (lead + start.replace(f'TOKEN = "{value}"', line)).encode()

    path = "shop/host.py"
    bad = {
        "glued": with_(f'TOKEN = "{value[:10]}" + "{value[10:]}"'),
        "adjacent texts": with_(f'TOKEN = ("{value[:10]}"\n         "{value[10:]}")'),
        "joined": with_(f'TOKEN = "".join(["{value[:10]}", "{value[10:]}"])'),
        "reversed": with_(f'TOKEN = "{value[::-1]}"[::-1]'),
        "base64": with_(f'TOKEN = b64decode("{packed}").decode()', "from base64 import b64decode\n"),
        "hex": with_(f'TOKEN = bytes.fromhex("{value.encode().hex()}").decode()'),
        "default of the environment": with_(f'TOKEN = os.environ.get("TOKEN", "{value}")'),
        "in a comment": with_(f'TOKEN = os.environ["TOKEN"]  # {value}'),
        "renamed": with_(f'KEY = "{value}"').replace(b'"token": TOKEN', b'"token": KEY'),
        "allowed": with_(f'TOKEN = "{value}"  # ' + "gitleaks" + ":allow"),
        "placeholder": with_('TOKEN = "changeme"').replace(b'"token": TOKEN, ', b""),
        "no longer used": with_("").replace(b'"token": TOKEN, ', b""),
    }
    moved = {path: with_("from shop.token import TOKEN"), "shop/token.py": f'TOKEN = "{value}"\n'.encode()}
    env_file = {path: with_('TOKEN = os.environ["TOKEN"]'), ".env": f"TOKEN={value}\n".encode()}
    return Case(
        rule="secrets",
        path=path,
        before=start.encode(),
        good={"environment": with_('TOKEN = os.environ["TOKEN"]'), "getenv": with_('TOKEN = os.environ.get("TOKEN", "")')},
        bad={**{name: {path: content} for name, content in bad.items()}, "moved": moved, "into .env": env_file},
        cwe=798,
    )
