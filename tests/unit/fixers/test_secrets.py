"""Secrets leave their file, and nothing that is written or said repeats them. Values are put together here at run time."""

from __future__ import annotations

import dataclasses

import pytest

from pipeline.fixers.secret import FIXER
from pipeline.model.finding import Location, Secret
from pipeline.model.fix import Patch
from tests.unit.fixers.cases import Files, dedent, finding, location

VALUE = "".join(["AK", "IA", "Q3EGRIGHXW", "5TZ2PL"])
AWS = Secret("AWS access key", "", VALUE[-4:])


def fix(before: str, path: str, kind: str = "AWS access key", files: dict[str, str] | None = None) -> Patch | None:
    """What the fixer makes of a file in which `$` stands for the value."""
    text = before.replace("$", VALUE)
    content = {path: text.encode(), **{name: other.replace("$", VALUE).encode() for name, other in (files or {}).items()}}
    rule = f"secrets.{kind.lower().replace(' ', '-')}"
    return FIXER.fix(finding(rule, location(path, text, VALUE), Secret(kind, "", VALUE[-4:])), Files(content))


def after(patch: Patch | None) -> str:
    assert patch is not None, "the fixer left it alone"
    return (patch.edits[0].after or b"").decode()


READ = [
    (
        "a constant",
        "app.py",
        "AWS access key",
        'AWS_ACCESS_KEY_ID = "$"\n',
        'import os\n\nAWS_ACCESS_KEY_ID = os.environ["AWS_ACCESS_KEY_ID"]\n',
    ),
    (
        "an argument, with os imported",
        "app.py",
        "AWS access key",
        'import os\nimport boto3\n\ns3 = boto3.client("s3", aws_access_key_id="$", region_name="eu")\n',
        'import os\nimport boto3\n\ns3 = boto3.client("s3", aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"], region_name="eu")\n',
    ),
    ("a fallback", "app.py", "AWS access key", 'import os\nx = os.environ.get("MY_KEY", "$")\n', 'import os\nx = os.environ["MY_KEY"]\n'),
    (
        "getenv by name",
        "app.py",
        "AWS access key",
        'from os import environ, getenv\nx = getenv("MY_KEY", "$")\n',
        'from os import environ, getenv\nx = environ["MY_KEY"]\n',
    ),
    (
        "an attribute",
        "app.py",
        "Stripe key",
        'import os, stripe\nstripe.api_key = "$"\n',
        'import os, stripe\nstripe.api_key = os.environ["STRIPE_API_KEY"]\n',
    ),
    (
        "an entry of a mapping",
        "app.py",
        "Key",
        "import os\nc = {'aws': {'key': '$'}}\n",
        "import os\nc = {'aws': {'key': os.environ['AWS_KEY']}}\n",
    ),
    (
        "a header keeps its scheme",
        "app.py",
        "Slack bot token",
        'import os\nheaders = {"Authorization": "Bearer $"}\n',
        'import os\nheaders = {"Authorization": f"Bearer {os.environ[\'SLACK_BOT_TOKEN\']}"}\n',
    ),
    (
        "decouple",
        "app.py",
        "AWS access key",
        'from decouple import config\nAWS_KEY = "$"\n',
        'from decouple import config\nAWS_KEY = config("AWS_KEY")\n',
    ),
    (
        "django-environ",
        "settings.py",
        "AWS access key",
        'import environ\nenv = environ.Env()\nAWS_KEY = "$"\n',
        'import environ\nenv = environ.Env()\nAWS_KEY = env("AWS_KEY")\n',
    ),
    (
        "pydantic's settings",
        "app.py",
        "AWS access key",
        'from pydantic_settings import BaseSettings\nclass S(BaseSettings):\n    aws_key: str = "$"\n',
        "from pydantic_settings import BaseSettings\nclass S(BaseSettings):\n    aws_key: str\n",
    ),
    ("bytes", "app.py", "AWS access key", 'import os\nAPI_KEY = b"$"\n', 'import os\nAPI_KEY = os.environ["API_KEY"].encode()\n'),
    (
        "an address with a password",
        "app.py",
        "Password in URL",
        'import os\nDATABASE_URL = "postgres://u:$@h/db"\n',
        'import os\nDATABASE_URL = os.environ["DATABASE_URL"]\n',
    ),
    (
        "a password of a database",
        "app.py",
        "Password",
        'import os\nimport psycopg2\nc = psycopg2.connect(host="h", password="$")\n',
        'import os\nimport psycopg2\nc = psycopg2.connect(host="h", password=os.environ["DATABASE_PASSWORD"])\n',
    ),
    (
        "every copy",
        "app.py",
        "AWS access key",
        'import os\nA_KEY = "$"\nuse("$")\n',
        'import os\nA_KEY = os.environ["A_KEY"]\nuse(os.environ["A_KEY"])\n',
    ),
    ("a constant of a script", "app.js", "AWS access key", "const apiKey = '$';\n", "const apiKey = process.env.API_KEY;\n"),
    (
        "an option",
        "app.js",
        "AWS access key",
        "new Client({ accessKeyId: '$', a: 1 });\n",
        "new Client({ accessKeyId: process.env.ACCESS_KEY_ID, a: 1 });\n",
    ),
    ("a fallback of a script", "app.js", "AWS access key", "const k = process.env.MY_KEY || '$';\n", "const k = process.env.MY_KEY;\n"),
    (
        "a header of a script",
        "app.js",
        "GitHub token",
        "get(u, { headers: { Authorization: 'token $' } });\n",
        "get(u, { headers: { Authorization: `token ${process.env.GITHUB_TOKEN}` } });\n",
    ),
    (
        "TypeScript knows that it is there",
        "app.ts",
        "AWS access key",
        "const apiKey: string = '$';\n",
        "const apiKey: string = process.env.API_KEY!;\n",
    ),
    ("an environment file", ".env", "AWS access key", "A=1\nAPI_KEY='$'\nB=2\n", "A=1\nAPI_KEY=\nB=2\n"),
    ("a compose list", "docker-compose.yml", "AWS access key", "environment:\n  - API_KEY=$\n", "environment:\n  - API_KEY=${API_KEY}\n"),
    (
        "a compose mapping",
        "compose.prod.yaml",
        "AWS access key",
        'environment:\n  API_KEY: "$" # x\n',
        'environment:\n  API_KEY: "${API_KEY}" # x\n',
    ),
    ("Spring's properties", "src/application-prod.properties", "Password", "db.password=$\n", "db.password=${DB_PASSWORD}\n"),
    ("a shell script", "run.sh", "AWS access key", "export API_KEY='$'\nrun\n", 'export API_KEY="${API_KEY:?}"\nrun\n'),
    ("npm", ".npmrc", "npm token", "//registry.example.org/:_authToken=$\n", "//registry.example.org/:_authToken=${NPM_TOKEN}\n"),
]


@pytest.mark.parametrize(("path", "kind", "before", "wanted"), [case[1:] for case in READ], ids=[case[0] for case in READ])
def test_the_value_is_read_from_where_the_program_runs(path: str, kind: str, before: str, wanted: str) -> None:
    patch = fix(before, path, kind)
    assert after(patch) == wanted


@pytest.mark.parametrize(("path", "kind", "before"), [case[1:4] for case in READ], ids=[case[0] for case in READ])
def test_the_value_stands_in_nothing_that_is_written_or_said(path: str, kind: str, before: str) -> None:
    patch = fix(before, path, kind)
    assert patch is not None
    said = " ".join([patch.title, patch.explanation, *patch.notes])
    assert VALUE not in said
    assert VALUE.lower() not in said.lower()
    assert all(VALUE.encode() not in (edit.after or b"") for edit in patch.edits)
    assert patch.explanation.startswith("Revoke")
    assert patch.notes[0] == "revoke the old value"
    assert len(patch.title) <= 60
    assert patch.fixer == "secret"


LEFT_ALONE = [
    ("a comment", "app.py", "# key: $\nx = 1\n"),
    ("a docstring", "app.py", 'def f():\n    """$"""\n'),
    ("a key of a mapping", "app.py", 'x = {"$": 1}\n'),
    ("a piece of a longer text", "app.py", 'print("call it with $ please")\n'),
    ("the environment that is set", "app.py", 'import os\nos.environ["MY_KEY"] = "$"\n'),
    ("a file where os is something else", "app.py", 'os = 1\nMY_KEY = "$"\n'),
    ("a comment that has it too", "app.py", 'import os\nMY_KEY = "$"  # was $\n'),
    ("a workflow", ".github/workflows/ci.yml", "env:\n  API_KEY: $\n"),
    ("a pipeline", ".gitlab-ci.yml", "variables:\n  API_KEY: $\n"),
    ("a lock file", "package-lock.json", '{"a": "$"}\n'),
    ("settings that cannot read a variable", "config.json", '{"key": "$"}\n'),
    ("any YAML", "config.yml", "key: $\n"),
    ("code for a browser", "app.js", "document.title = 1;\nconst apiKey = '$';\n"),
    ("code that a bundler publishes", "app.ts", "const a = import.meta.env.A;\nconst apiKey = '$';\n"),
    ("an import", "app.js", "import a from '$';\n"),
    ("an attribute of JSX", "app.jsx", "const a = <B token='$' />;\n"),
    ("a line of settings that is more", ".env", "A=1 B=$\n"),
    ("a file that does not parse", "app.py", 'def (:\n  x = "$"\n'),
]


@pytest.mark.parametrize(("path", "before"), [case[1:] for case in LEFT_ALONE], ids=[case[0] for case in LEFT_ALONE])
def test_what_cannot_be_mended_for_certain_is_left_alone(path: str, before: str) -> None:
    assert fix(before, path) is None


def test_a_private_key_is_never_answered() -> None:
    assert not FIXER.answers("secrets.private-key")
    assert fix('API_KEY = "$"\n', "app.py", "RSA private key") is None


def test_the_name_goes_into_the_nearest_example_of_settings() -> None:
    patch = fix('import os\nAPI_KEY = "$"\n', "app/a.py", files={".env.example": "A=1", "other/.env.example": "B=1\n"})
    assert patch is not None
    assert {edit.path: edit.after for edit in patch.edits[1:]} == {".env.example": b"A=1\nAPI_KEY=\n"}


def test_an_example_that_knows_the_name_is_not_touched() -> None:
    patch = fix('import os\nAPI_KEY = "$"\n', "a.py", files={".env.example": "API_KEY=\n"})
    assert patch is not None
    assert patch.paths == ("a.py",)


def test_an_example_that_holds_the_value_is_not_touched() -> None:
    patch = fix('import os\nAPI_KEY = "$"\n', "a.py", files={".env.example": "OTHER=$\n"})
    assert patch is not None
    assert patch.paths == ("a.py",)


def test_a_line_that_is_no_longer_the_one_of_the_finding_is_left_alone() -> None:
    text = 'import os\nOTHER_KEY = "something-else-entirely"\n'
    stale = dataclasses.replace(finding("secrets.aws-access-key", Location("a.py", 2, 2), AWS), excerpt='API_KEY = "<AWS access key>"')
    assert FIXER.fix(stale, Files({"a.py": text.encode()})) is None


def test_the_excerpt_tells_which_of_two_literals_is_meant() -> None:
    text = f'import os\nuse("plain-{VALUE[::-1]}", API_KEY="{VALUE}")\n'
    found = dataclasses.replace(
        finding("secrets.aws-access-key", Location("a.py", 2, 2), AWS), excerpt=f'use("plain-{VALUE[::-1]}", API_KEY="<AWS access key>")'
    )
    patch = FIXER.fix(found, Files({"a.py": text.encode()}))
    assert after(patch) == f'import os\nuse("plain-{VALUE[::-1]}", API_KEY=os.environ["API_KEY"])\n'


def test_a_second_run_finds_nothing_to_do() -> None:
    text = dedent(
        """
        import os

        API_KEY = os.environ["API_KEY"]
        """
    )
    assert FIXER.fix(finding("secrets.aws-access-key", Location("a.py", 3, 3), AWS), Files({"a.py": text.encode()})) is None
