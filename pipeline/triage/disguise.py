"""Is a weakness still there, but where the engines do not see it? Added code that reaches functions by name at run time, renames what
was flagged, gives a harmless name to something else, or carries its text encoded. A mechanical fix never needs any of it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import PurePath

from pipeline.model.finding import Finding
from pipeline.triage.nodes import TEXT_METHODS, is_decided, walk
from pipeline.triage.outline import Outline, Unit
from pipeline.triage.survival import Sides, flagged_units

_DYNAMIC = frozenset(
    [
        "getattr",
        "setattr",
        "delattr",
        "eval",
        "exec",
        "compile",
        "execfile",
        "__import__",
        "import_module",
        "globals",
        "locals",
        "vars",
        "methodcaller",
        "attrgetter",
        "itemgetter",
        "partial",
        "Function",
        "runInThisContext",
        "runInNewContext",
        "runInContext",
        "fromCharCode",
        "atob",
        "unescape",
        "b64decode",
        "b32decode",
        "b16decode",
        "a85decode",
        "unhexlify",
        "fromhex",
        "run_path",
        "run_module",
        "resolve_name",
        "__call__",
        "__func__",
    ]
)
"""Called, these reach code by a name or text that the engines cannot read."""

_DYNAMIC_NAMES = frozenset(
    [
        *("__dict__", "__builtins__", "__getattribute__", "__subclasses__", "__globals__", "__code__", "__call__", "__func__"),
        *("globalThis", "Reflect", "mainModule"),
    ]
)

_MODULES = re.compile(r"\bsys ?\. ?modules\b")

_FOLLOWED = frozenset([22, 78, 79, 89, 94, 502, 601, 1336])
"""CWE of the weaknesses that engines find by following what comes from outside. They lose a
text of which a part is taken (`name[:100]`)."""

_HARMLESS = frozenset(
    [
        "quote",
        "escape",
        "safe_load",
        "literal_eval",
        "secure_filename",
        "escapeHtml",
        "escapeId",
        "sanitize",
        "clean",
        "bleach",
        "DOMPurify",
        "safe_join",
        "basename",
        "encodeURIComponent",
        "parseInt",
        "Number",
        "String",
        "int",
        "float",
        "str",
        "bool",
        "bytes",
        "isinstance",
        "len",
        "all",
        "any",
        "compare_digest",
        "timingSafeEqual",
        "execFile",
        "execFileSync",
        "spawn",
        "json",
        "JSON",
        "ast",
        "shlex",
        "html",
        "hmac",
        "secrets",
        "path",
        "yaml",
        "hashlib",
        "SafeLoader",
        "CSafeLoader",
        "data_filter",
        "sanitizeHtml",
    ]
)
"""Names that engines and readers trust: a patch must not give them to something of its own."""

_SQL_OF_NODE = ("mysql", "mysql2", "sqlstring")
_HOMES: dict[str, frozenset[str]] = {
    name: frozenset(homes)
    for name, homes in {
        "quote": ["shlex.quote", "pipes.quote", "urllib.parse.quote", "shell-quote.quote"],
        "escape": [
            *("html.escape", "markupsafe.escape", "flask.escape", "jinja2.escape", "django.utils.html.escape", "xml.sax.saxutils.escape"),
            *("escape-html", "lodash.escape", "validator.escape", "he.escape", "html-escaper.escape"),
            *(f"{module}.escape" for module in _SQL_OF_NODE),
        ],
        "escapeId": [f"{module}.escapeId" for module in _SQL_OF_NODE],
        "escapeHtml": ["escape-html"],
        "safe_load": ["yaml.safe_load"],
        "SafeLoader": ["yaml.SafeLoader", "yaml.loader.SafeLoader"],
        "CSafeLoader": ["yaml.CSafeLoader", "yaml.cyaml.CSafeLoader"],
        "literal_eval": ["ast.literal_eval"],
        "secure_filename": ["werkzeug.utils.secure_filename", "werkzeug.secure_filename"],
        "safe_join": [
            *("werkzeug.utils.safe_join", "werkzeug.security.safe_join", "flask.safe_join", "flask.helpers.safe_join"),
            "django.utils._os.safe_join",
        ],
        "basename": ["os.path.basename", "posixpath.basename", "ntpath.basename", "path.basename"],
        "compare_digest": ["hmac.compare_digest", "secrets.compare_digest"],
        "timingSafeEqual": ["crypto.timingSafeEqual"],
        "execFile": ["child_process.execFile"],
        "execFileSync": ["child_process.execFileSync"],
        "spawn": ["child_process.spawn"],
        "data_filter": ["tarfile.data_filter"],
        "clean": ["bleach.clean", "nh3.clean"],
        "sanitize": ["dompurify.sanitize", "isomorphic-dompurify.sanitize"],
        "sanitizeHtml": ["sanitize-html"],
        "DOMPurify": ["dompurify", "isomorphic-dompurify"],
        "bleach": ["bleach"],
        "json": ["json", "flask.json"],
        "html": ["html", "django.utils.html", "lit.html", "lit-html.html"],
        "path": ["os.path", "path", "posixpath", "path.posix"],
        "yaml": ["yaml", "js-yaml"],
        **{name: [name] for name in ("ast", "shlex", "hmac", "secrets", "hashlib")},
    }.items()
}
"""Where these come from, where that is known: `re.escape` and a function of one's own called `escape` are others."""


_ALSO_WORDS = frozenset(["path", "html"])
"""Modules whose names people give to their own values."""
_METHODS_OF_VALUES = frozenset(name for kind in (str, PurePath) for name in dir(kind) if not name.startswith("_")) | {
    *("resolve", "exists", "is_file", "is_dir", "open", "read_text", "read_bytes"),
}

_DANGEROUS_MODULES = frozenset(["pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "jsonpickle", "joblib", "vm", "vm2"])


_CONDITIONS = frozenset(["if_statement", "elif_clause", "while_statement", "assert_statement"])

_PLAIN_METHODS = frozenset(["", "toString", "slice", "strip", "decode", "encode", "append", "push", "String", "str", "int", "len"])
"""Called everywhere: that a new function calls them too means nothing."""


def disguises(sides: Sides, home: Sides | None, finding: Finding) -> list[str]:
    """What in the added code of this file hides from engines, one sentence each.

    Args:
        home: the file where the finding lies, before and after; None when its language is unknown to us.
    """
    reasons = [
        *_decided(sides),
        *_dynamic(sides),
        *_renamed(sides, finding),
        *_redefined(sides),
        *_another_danger(sides),
        *_options(sides, finding),
        *_cut(sides, finding),
    ]
    return reasons + (_moved(sides, home, finding) if home is not None else [])


def _decided(sides: Sides) -> list[str]:
    """Expressions in added code whose outcome a constant in them decides."""
    units = [unit for unit in sides.added() if not unit.imports]
    # A compound statement's node has its whole block below it, whose statements are units of their own.
    found = [u for u in units if any(n.start_byte < u.end and is_decided(n) for n in walk(u.node))]
    known = sum(is_decided(node) for unit in sides.removed() for node in walk(unit.node))
    return [f"line {unit.line} has a constant that decides what comes out" for unit in found[known:]]


def _count_calls(side: Outline) -> Counter[str]:
    return Counter(call.name for unit in side.units for call in unit.calls)


def _dynamic(sides: Sides) -> list[str]:
    reasons = []
    more = _count_calls(sides.after) - _count_calls(sides.before)
    for name in sorted(_DYNAMIC & set(more)):
        reasons.append(f"`{name}` is called in added code: what it reaches cannot be checked")
    for name in sorted(_DYNAMIC_NAMES & set(_mentions(sides.after) - _mentions(sides.before))):
        reasons.append(f"`{name}` is used in added code: what it reaches cannot be checked")
    if _through_items(sides.after) > _through_items(sides.before):
        reasons.append("a function is called through an item of an object: what it reaches cannot be checked")
    for unit in sides.added():
        if _MODULES.search(unit.text):
            reasons.append(f"line {unit.line} reaches a module by its name: what it reaches cannot be checked")
        for call in unit.calls:
            if call.name in ("require", "import") and not call.literal:
                reasons.append(f"line {unit.line} loads a module whose name is not written down")
            if call.name in ("setTimeout", "setInterval") and call.literal:
                reasons.append(f"line {unit.line} runs a text as code")
    return reasons


def _mentions(side: Outline) -> Counter[str]:
    return Counter(name for unit in side.units for name in unit.mentions | unit.parts | unit.loads | unit.roots)


def _through_items(side: Outline) -> int:
    paths = [call.path for unit in side.units for call in unit.calls if not call.name]
    return sum(path.endswith("]") and ("'" in path or '"' in path or "`" in path) for path in paths)


def _renamed(sides: Sides, finding: Finding) -> list[str]:
    if sides.edit.path != finding.location.path:
        return []
    flagged = flagged_units(sides, finding)
    names = {call.name for unit in flagged for call in unit.calls if len(call.name) > 2}
    names |= {name for unit in flagged for name in unit.written if len(name) > 2}
    names |= {call.root for unit in flagged for call in unit.calls if call.root != call.path and call.root in sides.before.imported}
    if not names:
        return []
    reasons = []
    before, after = (_passed_on(side, names) for side in (sides.before, sides.after))
    for name in sorted((after - before).keys()):
        reasons.append(f"`{name}` is passed on without a call: under another name the engines lose it")
    if any(unit.glued for unit in sides.added()):
        reasons.append("a name is glued together from constant texts in added code")
    strings = {s for u in sides.added() for s in u.strings} - {s for u in sides.before.units for s in u.strings}
    for name in sorted(names & strings):
        reasons.append(f"`{name}` is named in a text in added code")
    for here, origin in sorted(sides.after.imported.items()):
        last = origin.rsplit(".", 1)[-1]
        if last in names and here != last and sides.before.imported.get(here) != origin:
            reasons.append(f"`{last}` is imported as `{here}`")
    return reasons


def _passed_on(side: Outline, names: set[str]) -> Counter[str]:
    """How often these functions are read without being called. A variable that only has such a name is none of them."""
    own = {name for unit in side.units if not unit.imports for name in unit.binds - unit.parts}
    return Counter(
        name for unit in side.units if not unit.imports for name in ((unit.parts - unit.written) | (unit.mentions - own)) & names
    )


def _redefined(sides: Sides) -> list[str]:
    called = {part for unit in sides.after.units for call in unit.calls for part in (call.name, call.root)}
    called |= {name for unit in sides.after.units for name in unit.loads}
    before = _own_names(sides.before)
    reasons = []
    for name in sorted(_own_names(sides.after) - before - _safer_siblings(sides)):
        trusted = name in _HARMLESS or name in sides.before.imported
        if trusted and name in called and not _only_a_variable(sides, name):
            reasons.append(f"`{name}` gets a meaning of its own in added code")
    written = {name for unit in sides.before.units for name in unit.written}
    for unit in sides.added():
        owned = sorted(unit.targets & set(sides.before.imported))
        if owned and unit.written - written:
            reasons.append(f"line {unit.line} changes a member of `{owned[0]}`, which is imported")
    for here, origin in sorted(sides.after.imported.items()):
        if here not in _HARMLESS or sides.before.imported.get(here) == origin:
            continue
        homes = _HOMES.get(here)
        stranger = re.split(r"[./:]", origin)[-1] != here if homes is None else origin.removeprefix("node:") not in homes
        if stranger or origin.startswith("."):
            reasons.append(f"`{origin}` is imported under the trusted name `{here}`")
    return reasons


def _only_a_variable(sides: Sides, name: str) -> bool:
    """Whether `path` and the like are nothing but a value here: the module of that name is not loaded bare in the file, so nothing is
    hidden, and nothing is called by it that somebody could take for the module's."""
    if name not in _ALSO_WORDS or not sides.edit.path.endswith(".py") or name in {**sides.before.imported, **sides.after.imported}:
        return False
    if any(definition.name.rsplit(".", 1)[-1] == name for definition in sides.after.definitions):
        return False
    return all(call.name in _METHODS_OF_VALUES for unit in sides.after.units for call in unit.calls if call.root == name)


def _safer_siblings(sides: Sides) -> set[str]:
    """`execFile` of `const execFile = promisify(child.execFile)` where `const exec = promisify(child.exec)` stood: the same words."""
    found = set()
    removed = [unit for unit in sides.removed() if unit.kind in ("lexical_declaration", "variable_declaration")]
    for unit in sides.added():
        for old, new in (("exec", "execFile"), ("execSync", "execFileSync")):
            if unit.binds == {new} and any(one.binds == {old} and re.sub(rf"\b{old}\b", new, one.text) == unit.text for one in removed):
                found.add(new)
    return found


def _another_danger(sides: Sides) -> list[str]:
    """Modules that run what they read: a fix never needs one more of them."""
    reasons = []
    for here, origin in sorted(sides.after.imported.items()):
        module = re.split(r"[./:]", origin)[0]
        if module in _DANGEROUS_MODULES and module not in {re.split(r"[./:]", known)[0] for known in sides.before.imported.values()}:
            reasons.append(f"`{origin}` is imported (as `{here}`): it runs what it reads")
    return reasons


def _moved(sides: Sides, home: Sides, finding: Finding) -> list[str]:
    """The flagged call in a function or file that the patch adds: engines that read one function at a time lose sight of it."""
    flagged = flagged_units(home, finding)
    calls = {call.name for unit in flagged for call in unit.calls} - TEXT_METHODS - _PLAIN_METHODS
    writes = {name for unit in flagged for name in unit.written}
    given = {name for unit in flagged for name in unit.parts} - calls - {""}
    known = {definition.name for definition in sides.before.definitions}
    new = {definition.name for definition in sides.after.definitions} - known
    reasons = []
    for unit in sides.added():
        made = {call.name for call in unit.calls}
        found = sorted((made & calls) | (unit.written & writes))
        elsewhere = sides.edit.path != home.edit.path
        if found and (elsewhere or any(unit.scope == name or unit.scope.startswith(name + ".") for name in new)):
            where = f"`{unit.scope}`, which the patch adds" if unit.scope else "another file"
            reasons.append(f"`{found[0]}` moved into {where} ({sides.edit.path}:{unit.line})")
        if not elsewhere:
            reasons += [f"`{n}`, which the flagged call was given, is called itself (line {unit.line})" for n in sorted(made & given)]
    return reasons


def _options(sides: Sides, finding: Finding) -> list[str]:
    """Options of the flagged statement that only look different: `verify=0`, or behind `**`."""
    if sides.edit.path != finding.location.path:
        return []
    flagged = flagged_units(sides, finding)
    added = sides.added()
    reasons = []
    if any(unit.spread for unit in added) and not any(unit.spread for unit in flagged):
        reasons.append("options are handed over as a whole (`**`, `...`): what is in them cannot be checked")
    before = {key: value for unit in flagged for key, value in unit.options.items()}
    for unit in added:
        for key, (truth, text) in unit.options.items():
            if key in before and before[key][0] is truth and before[key][1] != text:
                reasons.append(f"`{key}` is {text} now, which means the same as {before[key][1]}")
    return reasons


def _cut(sides: Sides, finding: Finding) -> list[str]:
    """A part of a text in the place of the whole: what was dangerous in it may be in the part. In a condition it decides, and is fine."""
    if finding.rule.cwe not in _FOLLOWED or sides.edit.path != finding.location.path:
        return []
    known = sum(_slices(unit) for unit in sides.removed())
    found = [unit for unit in sides.added() if unit.kind not in _CONDITIONS and _slices(unit)]
    return [f"line {unit.line} takes a part of a value: engines lose sight of what is in it" for unit in found if _slices(unit) > known][:1]


def _slices(unit: Unit) -> int:
    return sum(node.type == "slice" and node.start_byte < unit.end for node in walk(unit.node))


def _own_names(side: Outline) -> set[str]:
    names = {name for unit in side.units if not unit.imports for name in unit.binds}
    return names | {definition.name.rsplit(".", 1)[-1] for definition in side.definitions}
