"""python.unsafe-yaml: the safe loader, which makes plain data only."""

from __future__ import annotations

import libcst as cst

from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting.python import imports
from pipeline.rewriting.python.code import Code, argument, drop_argument, imported, keyword, string_value
from pipeline.rewriting.source import Change, Edit

_SAFE = {
    "yaml.load": "safe_load",
    "yaml.load_all": "safe_load_all",
    "yaml.unsafe_load": "safe_load",
    "yaml.unsafe_load_all": "safe_load_all",
    "yaml.full_load": "safe_load",
    "yaml.full_load_all": "safe_load_all",
}
_LOADERS = frozenset(f"yaml.{c}{name}" for c in ("", "C") for name in ("Loader", "FullLoader", "UnsafeLoader")) | frozenset(
    f"yaml.loader.{name}" for name in ("Loader", "FullLoader", "UnsafeLoader")
)


def fix(code: Code, finding: Finding, _files: SourceFiles) -> Change | None:
    """Load with `safe_load`; None for a loader of the project's own, whose tags we do not know."""
    for call in code.near(finding.location, cst.Call, lambda c: code.callee(c) in _SAFE or code.callee(c) == "ruamel.yaml.YAML"):
        change = _ruamel(code, call) if code.callee(call) == "ruamel.yaml.YAML" else _pyyaml(code, call)
        if change is not None:
            return change
    return None


def _pyyaml(code: Code, call: cst.Call) -> Change | None:
    safe = _SAFE[code.callee(call)]
    if any(arg.star for arg in call.args) or not call.args:
        return None
    loader = argument(call, 1, "Loader")
    edits: list[Edit] = []
    names: set[str] = set()
    if loader is not None:
        if code.qualified(loader.value) not in _LOADERS:
            return None
        edits.append(drop_argument(code, call, loader))
        if isinstance(loader.value, cst.Name):
            names.add(loader.value.value)
    if isinstance(call.func, cst.Attribute):
        edits.append(Edit(*code.span(call.func.attr), safe))
    elif isinstance(call.func, cst.Name):
        renamed = _imported_name(code, call, call.func.value, safe, names)
        if renamed is None:
            return None
        edits += renamed
        names = set()
    edits += imports.drop_unused(code, names, [code.span(call)])
    stream = "documents are" if safe.endswith("all") else "document is"
    return Change(
        tuple(edits), f"load YAML with {safe}", f"The {stream} read with the safe loader, which makes plain data and runs nothing."
    )


def _imported_name(code: Code, call: cst.Call, name: str, safe: str, loaders: set[str]) -> list[Edit] | None:
    """`from yaml import load`: the imported name changes where it is imported, and goes with a loader that nothing needs now."""
    gone = [code.span(call)]
    for node in code.all(cst.ImportFrom):
        if imported(node).get(name, "") not in _SAFE or isinstance(node.names, cst.ImportStar):
            continue
        alias = next(
            a for a in node.names if (a.asname is not None and _as(a) == name) or (a.asname is None and code.inner(a.name) == name)
        )
        only = len(code.uses(name, code.module)) == 1
        known = imported(node)
        if alias.asname is not None:
            return [Edit(*code.span(alias.name), safe)] if only else None
        useless = [n for n in loaders if n in known and _unused(code, n, gone)]
        kept = [code.inner(a) for a in node.names if code.inner(a.name) not in useless]
        if not only:
            names = kept if safe in kept else [*kept, safe]
        else:
            names = [safe if text == name else text for text in kept if text != name or safe not in kept]
        start, end = code.span(node.names[0])[0], code.span(node.names[-1])[1]
        if "\n" in code.source.slice(start, end):
            return None
        return [Edit(start, end, ", ".join(names)), Edit(*code.span(call.func), safe)]
    return None


def _unused(code: Code, name: str, gone: list[tuple[int, int]]) -> bool:
    return bool(imports.drop_unused(code, {name}, gone))


def _as(alias: cst.ImportAlias) -> str:
    return alias.asname.name.value if alias.asname is not None and isinstance(alias.asname.name, cst.Name) else ""


def _ruamel(code: Code, call: cst.Call) -> Change | None:
    kind = keyword(call, "typ") or argument(call, 0)
    if kind is None or string_value(kind.value) != "unsafe" or not isinstance(kind.value, cst.SimpleString):
        return None
    quote = kind.value.quote
    edit = Edit(*code.span(kind.value), f"{quote}safe{quote}")
    return Change(
        (edit,), "load YAML with the safe loader", "The document is read with the safe loader, which makes plain data and runs nothing."
    )
