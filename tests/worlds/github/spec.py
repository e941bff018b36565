"""GitHub's official OpenAPI as a judge of requests and answers.

Two readings of one document. Requests are read strictly: a key that GitHub does not document fails, so that a misspelt optional
key of ours is found. Answers are read as GitHub publishes them. OpenAPI 3.0's `nullable` is turned into JSON Schema 2020-12 first.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema_rs

HERE = Path(__file__).parent / "openapi"
_RELAXED, _STRICT, _HOOKS = "urn:github:relaxed", "urn:github:strict", "urn:github:webhooks"
_WITH_SLASHES = frozenset({"path", "ref", "branch", "basehead"})
_COMPOSED = ("allOf", "anyOf", "oneOf")

# JSON of another program: its shape is what this module checks.
Json = Any


def load(name: str) -> Json:
    """A committed document of `openapi/` by file name."""
    with gzip.open(HERE / name, "rt", encoding="utf-8") as stream:
        return json.load(stream)


def _schemas(node: Json, change: Callable[[dict[str, Json]], dict[str, Json]]) -> Json:
    """`node` with `change` applied to every object in it, innermost first."""
    if isinstance(node, list):
        return [_schemas(item, change) for item in node]
    if isinstance(node, dict):
        return change({key: _schemas(value, change) for key, value in node.items()})
    return node


def _without_nullable(schema: dict[str, Json]) -> dict[str, Json]:
    """One schema of OpenAPI 3.0 as JSON Schema 2020-12 (OpenAPI 3.0.3, "Schema Object", nullable)."""
    if not isinstance(schema.get("nullable"), bool):
        return schema
    nullable = schema.pop("nullable")
    if not nullable:
        return schema
    if isinstance(schema.get("type"), str) and not any(word in schema for word in _COMPOSED):
        widened = schema | {"type": [schema["type"], "null"]}
        return widened | {"enum": [*schema["enum"], None]} if "enum" in schema and None not in schema["enum"] else widened
    return {"anyOf": [schema, {"type": "null"}]}


_WRONGLY_NOT_NULLABLE = {"pull-request-review-comment": ("line", "position")}
"""Where GitHub answers null against its own document: an outdated comment has no place (github/rest-api-description, issue 5568)."""


_PERMISSIONS_LEFT_OUT = ("repository_advisories",)
"""Stand in docs "Permissions required for GitHub Apps", and not in the document."""


def _corrected(document: Json) -> Json:
    """A copy with GitHub's known slips mended."""
    copied = json.loads(json.dumps(document))
    for schema, names in _WRONGLY_NOT_NULLABLE.items():
        for name in names:
            copied["components"]["schemas"][schema]["properties"][name]["nullable"] = True
    known = copied["components"]["schemas"]["app-permissions"]["properties"]
    for name in _PERMISSIONS_LEFT_OUT:
        known.setdefault(name, {"type": "string", "enum": ["read", "write"]})
    return copied


def _any_alternative(schema: dict[str, Json]) -> dict[str, Json]:
    """`oneOf` read as `anyOf`: GitHub's alternatives are open objects, so that an answer often fits more than one of them."""
    if not isinstance(schema.get("oneOf"), list) or "anyOf" in schema:
        return schema
    return {("anyOf" if key == "oneOf" else key): value for key, value in schema.items()}


def _closed(schema: dict[str, Json]) -> dict[str, Json]:
    """The same schema refusing keys that it does not name. The branches of a composition stay open: the whole is closed."""
    if not isinstance(schema.get("properties"), dict) or any(key.startswith("x-") for key in schema):
        return schema
    if not any(word in schema for word in _COMPOSED):
        return {"unevaluatedProperties": False} | schema if "additionalProperties" not in schema else schema
    opened = {
        word: [{key: part[key] for key in part if key not in ("additionalProperties", "unevaluatedProperties")} for part in schema[word]]
        for word in _COMPOSED
        if word in schema
    }
    return {"unevaluatedProperties": False} | schema | opened


@dataclass(frozen=True, slots=True)
class Matched:
    """A request path that GitHub documents."""

    template: str
    parameters: Mapping[str, str]
    """Percent-decoded."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One way in which a body or a query departs from the document."""

    where: str
    """JSON pointer into the body, `query NAME`, or `path`."""
    text: str
    keyword: str = ""
    """The schema keyword that failed: `maxItems`, `required`, ..."""
    github: str = ""
    """The sentence that GitHub puts into its own refusal; empty where GitHub would not notice."""

    def __str__(self) -> str:
        return f"{self.where or '/'}: {self.text}"


def _in_githubs_words(error: jsonschema_rs.ValidationError) -> str:
    """GitHub's sentence for what failed, as it answers with 422 "Invalid request."."""
    facts = error.kind.as_dict()
    size = len(error.instance) if isinstance(error.instance, (str, list)) else 0
    match error.kind.name:
        case "maxItems":
            return f"No more than {facts['limit']} items are allowed; {size} were supplied."
        case "maxLength":
            return f"Only {facts['limit']} characters are allowed; {size} were supplied."
        case "required":
            return f'"{facts["property"]}" wasn\'t supplied.'
        case "unevaluatedProperties":
            return ""  # GitHub drops keys that it does not know
        case _:
            return f"For '{'/'.join(['properties', *map(str, error.instance_path)])}', {error.message}."


class GithubSpec:
    """The operations of the committed slice. One instance serves all threads."""

    def __init__(self, document: Json) -> None:
        relaxed = _schemas(_schemas(_corrected(document), _without_nullable), _any_alternative)
        strict = _schemas(relaxed, _closed)
        self._documents = {_RELAXED: relaxed, _STRICT: strict}
        self._registry = jsonschema_rs.Registry(resources=list(self._documents.items()))
        self._validators: dict[str, jsonschema_rs.Draft202012Validator] = {}
        self._paths = relaxed["paths"]
        self._patterns = sorted(
            ((self._pattern(template), template) for template in self._paths),
            key=lambda item: (-len([part for part in item[1].split("/") if "{" not in part]), item[1]),
        )

    @classmethod
    @cache
    def load(cls) -> GithubSpec:
        """The committed slice; read once a process."""
        return cls(load("api.github.com.json.gz"))

    def _pattern(self, template: str) -> re.Pattern[str]:
        integers = {p["name"] for p in self._parameters(self._paths[template], "path") if p["schema"].get("type") == "integer"}

        def placeholder(found: re.Match[str]) -> str:
            name = found[1]
            shape = r"\d+" if name in integers else ".+" if name in _WITH_SLASHES else "[^/]+"
            return f"(?P<{name}>{shape})"

        return re.compile(re.sub(r"\\{(\w+)\\}", placeholder, re.escape(template)))

    def _parameters(self, item: Json, place: str) -> Iterator[Json]:
        """Parameters of a path (the union of its methods) or of one operation."""
        operations = [item] if "responses" in item else [value for key, value in item.items() if key != "parameters"]
        for operation in operations:
            for parameter in [*item.get("parameters", []), *operation.get("parameters", [])]:
                known = self._resolve(parameter)
                if known["in"] == place:
                    yield known

    def _resolve(self, node: Json) -> Json:
        while "$ref" in node:
            _, _, kind, name = node["$ref"].split("/", 3)
            node = self._documents[_RELAXED]["components"][kind][name]
        return node

    def match(self, path: str) -> Matched | None:
        """The documented path behind a raw (percent-encoded) request path, the most literal first."""
        for pattern, template in self._patterns:
            if found := pattern.fullmatch(path):
                return Matched(template, {name: unquote(value) for name, value in found.groupdict().items()})
        return None

    def documents(self, method: str, template: str) -> bool:
        """True when GitHub documents that method there."""
        return method.lower() in self._paths.get(template, {})

    def _errors(self, document: str, pointer: str, instance: Json) -> Iterator[Problem]:
        reference = f"{document}#{pointer}"
        if reference not in self._validators:
            self._validators[reference] = jsonschema_rs.Draft202012Validator(
                {"$ref": reference}, registry=self._registry, mask="this value"
            )
        for error in self._validators[reference].iter_errors(instance):
            where = "/" + "/".join(map(str, error.instance_path))
            yield Problem(where, error.message, error.kind.name, _in_githubs_words(error))

    def check_request(self, method: str, path: str, query: Mapping[str, str], body: Json) -> list[Problem]:
        """What is wrong with a request, by the document read strictly. `path` raw and without the query, `body` None when there is none."""
        matched = self.match(path)
        if matched is None or not self.documents(method, matched.template):
            return [Problem("path", f"{method} {path} is not documented")]
        operation = self._paths[matched.template][method.lower()]
        problems = list(self._check_query(operation, query))
        content = self._resolve(operation.get("requestBody", {}))
        if body is None:
            return (
                [*problems, Problem("", "the body is missing", "required", "Body should be a JSON object")]
                if content.get("required")
                else problems
            )
        if not content:
            return problems if body == {} else [*problems, Problem("", "a body where none is documented")]
        pointer = f"{_pointer(matched.template, method)}/requestBody/content/application~1json/schema"
        return [*problems, *self._errors(_STRICT, pointer, body)]

    def _check_query(self, operation: Json, query: Mapping[str, str]) -> Iterator[Problem]:
        known = {parameter["name"]: parameter["schema"] for parameter in self._parameters(operation, "query")}
        for name, value in query.items():
            schema = self._resolve(known.get(name, {}))
            if name not in known:
                yield Problem(f"query {name}", "is not documented", "unevaluatedProperties")
            elif schema.get("type") == "integer" and not re.fullmatch(r"-?\d+", value):
                yield Problem(f"query {name}", f"{value!r} is not an integer", "type")
            elif "enum" in schema and value not in map(str, schema["enum"]):
                yield Problem(
                    f"query {name}", f"{value!r} is not one of {schema['enum']}", "enum", f"'{value}' is not a possible value for {name}."
                )

    def check_response(self, method: str, path: str, status: int, body: Json) -> list[Problem]:
        """What is wrong with an answer. GitHub leaves many refusals undocumented: those need the shape of its errors only."""
        matched = self.match(path)
        if matched is None or not self.documents(method, matched.template):
            return [] if status in (404, 405) else [Problem("path", f"{method} {path} is not documented")]
        if status == 304:
            return [] if body is None else [Problem("", "304 with a body")]
        documented = self._paths[matched.template][method.lower()]["responses"].get(str(status))
        if documented is None:
            return (
                list(self._errors(_RELAXED, "/components/schemas/basic-error", body))
                if status >= 400
                else [Problem("", f"status {status} is not documented")]
            )
        pointer = documented.get("$ref", "#" + f"{_pointer(matched.template, method)}/responses/{status}").removeprefix("#")
        content = self._resolve(documented).get("content", {})
        if not content:
            return [] if body is None else [Problem("", f"status {status} has no body")]
        kind = "application/json" if "application/json" in content else next(iter(content))
        return list(self._errors(_RELAXED, f"{pointer}/content/{_escape(kind)}/schema", body))


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")


def _pointer(template: str, method: str) -> str:
    return f"/paths/{_escape(template)}/{method.lower()}"


class WebhookSpec:
    """GitHub's document of its webhooks, for what the double sends."""

    def __init__(self, document: Json) -> None:
        self._events = frozenset(document["webhooks"])
        self._registry = jsonschema_rs.Registry(resources=[(_HOOKS, document)])

    @classmethod
    @cache
    def load(cls) -> WebhookSpec:
        """The committed slice; read once a process."""
        return cls(load("webhooks.json.gz"))

    def check(self, event: str, payload: Json) -> list[str]:
        """What is wrong with a payload of `X-GitHub-Event: event`; an event that the slice lacks is a mistake too."""
        name = "-".join(word.replace("_", "-") for word in (event, payload.get("action", "")) if word)
        if name not in self._events:
            return [f"{name} is not in the slice"]
        validator = jsonschema_rs.Draft202012Validator({"$ref": f"{_HOOKS}#/webhooks/{name}"}, registry=self._registry, mask="this value")
        return [f"{name} /{'/'.join(map(str, error.instance_path))}: {error.message}" for error in validator.iter_errors(payload)]
