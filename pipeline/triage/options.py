"""Is the flagged call still given what it was given beside what the rule is about: options, other arguments, the folder, the same field of
the request? Python, JavaScript and TypeScript; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tree_sitter import Node

from pipeline.model.finding import Finding
from pipeline.triage.nodes import CALLS, PLAIN, called, flat, last_name, names_in, operator, owner, path_of, shown, string_of, walk
from pipeline.triage.outline import Unit
from pipeline.triage.passage import field_of
from pipeline.triage.skeleton import Scope, given_to, keywords, pairs_of, text_of, within
from pipeline.triage.survival import Sides, feeding, flagged_units

_ABOUT = frozenset(
    """shell executable Loader verify secure httponly httpOnly samesite sameSite timeout debug use_reloader use_debugger
    filter resolve_entities load_dtd no_network dtd_validation huge_tree allow_pickle rejectUnauthorized
    checkServerIdentity signal autoescape usedforsecurity strictSSL typ cert_reqs check_hostname ssl ssl_context context
    verify_ssl ca cafile trust_env quote root dotfiles agent httpsAgent httpAgent
    dispatcher""".split()  # noqa: SIM905 - a list of words
)
"""What rules are about; engines and the checks of residues look at these."""
_WAITING, _ENDLESS = frozenset(["timeout", "signal"]), 400
"""How long a call may take, and the CWE of the rule that is about it: for any other these are options like others."""
_BOUND = frozenset(["params", "parameters", "bind", "replacements", "values", "arguments", "data", "where", "text", "sql"])
"""What a statement's values are handed over by."""
_STRANGE = frozenset(["env", "preexec_fn", "input", "stdin", "cwd", "user", "group", "pass_fds", "startupinfo", "uid", "gid", "argv0"])
"""What a program that is started may be given besides, and changes what it does."""
_STEADY = frozenset([295, 400, 611, 614, 1004, 1275])
"""CWE of weaknesses that lie in one option: the call and all else that it is given stays (certificates, timeouts, XML, cookies)."""
_SETTERS = frozenset(["setFeature", "setProperty"])
"""Calls whose value is what the rule is about."""
_VERBS = frozenset(["get", "post", "put", "delete", "patch", "head", "options", "set_cookie", "cookie"])

_MADE_ANEW = frozenset([330, 338, 489, 377, 916, 327, 328])
"""CWE of weaknesses whose call is replaced by another one: random numbers, debuggers, names of temporary files, hashes."""

_HANDED = frozenset([22, 78, 79, 89, 94, 601, 1336])
"""Where the rewritten call takes the value in another way, and may need a word for it."""

_SAME_CALLS: Mapping[str, frozenset[str]] = {
    "load": frozenset({"load", "safe_load"}),
    "load_all": frozenset({"load_all", "safe_load_all"}),
    "full_load": frozenset({"load", "safe_load", "full_load"}),
    "unsafe_load": frozenset({"load", "safe_load"}),
    "unsafe_load_all": frozenset({"load_all", "safe_load_all"}),
}
"""Of YAML: what gives one document, and what gives all."""
READ = (".py", ".pyi", ".pyw", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".mts", ".cts")
"""Endings of the files that are compared in this way."""

_EXACT = frozenset(["set_cookie", "cookie", "extractall", "extract", "unpack_archive", "clearCookie"])
_PLAIN_VALUES = PLAIN | {"string", "identifier", "member_expression", "attribute"}
_FOLDERS = frozenset(["safe_join", "send_from_directory"])
_PLAIN_PATHS = frozenset(["str", "realpath", "abspath", "normpath", "resolve", "Path", "expanduser", "fspath", "PurePath"])


def other_options(sides: Sides, finding: Finding) -> list[str]:
    """What the rewritten call is no longer given, or is given besides, one sentence each."""
    if sides.edit.path != finding.location.path or not sides.edit.path.endswith(
        (".py", ".pyi", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx")
    ):
        return []
    gone = {id(unit) for unit in sides.removed()}
    come = [unit for unit in sides.added() if not unit.imports]
    flagged = [unit for unit in flagged_units(sides, finding) if id(unit) in gone]
    reasons: list[str] = []
    for scope in sorted({unit.scope for unit in flagged}):
        own = [unit for unit in flagged if unit.scope == scope]
        added = [unit for unit in come if unit.scope == scope or unit.scope.startswith(f"{scope}.")]
        if added:
            reasons += _named(own, added, finding.rule.cwe or 0) if finding.rule.cwe not in _MADE_ANEW else []
            reasons += _fields(sides, scope, own, gone)
            if finding.rule.cwe == 22:
                reasons += _roots(sides, scope, own, added)
            if finding.rule.id == "python.unsafe-yaml":
                reasons += _documents(sides, own, added)
    return list(dict.fromkeys(reasons))[:3]


def _calls(units: Sequence[Unit]) -> Iterator[Node]:
    for unit in units:
        yield from (node for node in within(unit) if node.type in CALLS)


def _same(node: Node) -> str:
    if any(child.type in ("statement_block", "block") for child in walk(node)):
        return "{}"  # statements of their own
    return flat(node).replace('"', "'").rstrip(",")


def _named(flagged: Sequence[Unit], added: Sequence[Unit], cwe: int) -> list[str]:
    """Named arguments that are gone, changed or new, and for calls that take nothing else the others as well."""
    handed_over = cwe in _HANDED
    reasons = []
    now = list(_calls(added))
    for call in now:
        names = [flat(argument).partition("=")[0] for argument in given_to(call) if argument.type == "keyword_argument"]
        if len(names) > len(set(names)):
            reasons.append(f"`{shown(path_of(call))}` is given the same name twice")
    handed: dict[str, set[str]] = {}
    for call in now:
        for key, value in keywords(call).items():
            handed.setdefault(key, set()).add(_same(value))
    objects = {
        key: _same(value) for unit in added for node in within(unit) if node.type in ("object", "dictionary") for key, value in _held(node)
    }
    for call in _calls(flagged):
        name = last_name(called(call) or call)
        alike = [other for other in now if last_name(called(other) or other) == name]
        steady = name in _EXACT or cwe in _STEADY
        for key, value in keywords(call).items():
            about = key in _ABOUT and (key not in _WAITING or cwe == _ENDLESS)
            if about or (handed_over and key in _BOUND) or _of_a_value(value) or _is_about(value) or name == "format":
                continue
            values = handed.get(key, set()) | ({objects[key]} if key in objects else set())
            if not values and value.type not in ("false", "none", "null"):
                reasons.append(f"`{shown(key)}` is no longer given to `{shown(path_of(call))}`")
            elif values and _same(value) not in values and _is_plain(value):
                reasons.append(f"`{shown(key)}` has another value now")
        known = {key for other in _calls(flagged) for key in keywords(other)}
        new = sorted({key for other in alike for key in keywords(other)} - known - _ABOUT - (_BOUND if handed_over else set()))
        if new and (steady or _STRANGE & set(new)):
            reasons.append(f"`{shown(new[0])}` is given to `{shown(path_of(call))}` now, and was not before")
        loose = [other for other in alike if _weak_site(other)]
        if loose and not _weak_site(call):
            reasons.append("the cookie goes along with requests from other sites now")
        if not alike and name in _VERBS and steady:
            reasons.append(f"`{shown(path_of(call))}` is no longer called")
        if steady and name not in _SETTERS and alike and not any(_positional(other) == _positional(call) for other in alike):
            reasons.append(f"`{shown(path_of(call))}` is given another value now")
    return reasons


def _held(node: Node) -> Iterator[tuple[str, Node]]:
    for pair in node.named_children:
        key, value = pair.child_by_field_name("key"), pair.child_by_field_name("value")
        if key is not None and value is not None:
            yield string_of(key) or flat(key), value


def _of_a_value(node: Node) -> bool:
    """A text that is put together is what the rule may be about; it is compared by `pipeline.triage.wording`."""
    return any(inner.type in ("interpolation", "template_substitution", "binary_operator", "binary_expression") for inner in walk(node))


def _is_about(node: Node) -> bool:
    """Whether something that a rule is about is made in an argument: what is given in its place is looked at by the engines."""
    return any(set(keywords(inner)) & _ABOUT for inner in walk(node) if inner.type in CALLS)


def _weak_site(call: Node) -> bool:
    return any(key.lower() == "samesite" and string_of(value).lower() == "none" for key, value in keywords(call).items())


def _positional(call: Node) -> list[str]:
    listed = [argument for argument in given_to(call) if argument.type not in ("keyword_argument", "object")]
    return [_same(argument) if not _holds_calls(argument) else "" for argument in listed]


def _holds_calls(node: Node) -> bool:
    """What is made in an argument is compared by itself."""
    return any(inner.type in CALLS or inner.type == "object" for inner in walk(node))


def _is_plain(node: Node) -> bool:
    """A constant, a name, or a list or dictionary of these that holds nothing of what a rule is about."""
    if node.type in _PLAIN_VALUES:
        return True
    inner = list(walk(node))
    about = any(one.type in ("pair", "keyword_argument") and set(pairs_of(one.parent or one)) & _ABOUT for one in inner)
    return node.type in ("list", "array", "dictionary", "object", "tuple") and not about and not any(one.type in CALLS for one in inner)


# --- the request ----------------------------------------------------------------------------------------------------------------------


def _fields(sides: Sides, scope: str, flagged: Sequence[Unit], gone: set[int]) -> list[str]:
    """Fields of the request that are read no more: another one stands in the place."""
    fed = feeding(sides, flagged)
    before = [unit for unit in sides.before.units if unit.start in fed and id(unit) in gone]
    wanted = {field: node for unit in before for node in within(unit) if (field := field_of(node)[0])}
    if not wanted:
        return []
    after = [
        unit
        for unit in sides.after.units
        if unit.scope == scope or scope.startswith(f"{unit.scope}.") or unit.scope.startswith(f"{scope}.")
    ]
    read = {name for unit in after for node in walk(unit.node) for name in _reads(node)}
    return [f"`{shown(name)}` of the request is no longer read" for name in sorted(set(wanted) - read)][:1]


def _reads(node: Node) -> Iterator[str]:
    if node.type in ("member_expression", "attribute"):
        yield last_name(node)
    elif node.type == "string":
        yield string_of(node)
    elif node.type == "shorthand_property_identifier_pattern":
        yield flat(node)
    elif node.type == "pair_pattern" and (key := node.child_by_field_name("key")) is not None:
        yield string_of(key) or flat(key)


# --- folders and documents ------------------------------------------------------------------------------------------------------------


def _joined(sides: Sides, scope: Scope, flagged: Sequence[Unit]) -> tuple[list[list[Node]], set[str]]:
    """What the flagged statements joined to paths, and the folders that came first in it, as `bare_folder` spells them."""
    fed = feeding(sides, flagged)
    units = [unit for unit in sides.before.units if unit.start in fed]
    calls = [call for call in _calls(units) if last_name(called(call) or call) in ("join", "joinpath", "resolve")]
    joined = [given for call in calls if len(given := given_to(call)) > 1]
    firsts = [given[0] for given in joined]
    divided = [node for unit in units for node in within(unit) if node.type == "binary_operator" and operator(node) == "/"]
    firsts += [left for node in divided if (left := node.child_by_field_name("left")) is not None and left.type != "binary_operator"]
    return joined, {bare_folder(node, scope) for node in firsts}


def folders_before(sides: Sides, scope: str, flagged: Sequence[Unit]) -> set[str]:
    """Folders to which the flagged statements of a function joined something, spelled as `bare_folder` does."""
    return _joined(sides, Scope.of(sides.before, scope), flagged)[1]


def _roots(sides: Sides, scope: str, flagged: Sequence[Unit], added: Sequence[Unit]) -> list[str]:
    """The folder that paths are kept in: what was joined first before."""
    after = Scope.of(sides.after, scope)
    joined, roots = _joined(sides, Scope.of(sides.before, scope), flagged)
    reasons = []
    texts = {text for unit in sides.before.units for text in unit.strings}
    # Of what is joined below an option `root` only that is the folder.
    rooted = any("root" in keywords(call) for call in _calls(added))
    for call in _calls(added) if roots else ():
        given = [argument for argument in given_to(call) if argument.type != "keyword_argument"]
        name = last_name(called(call) or call)
        joins = name in _FOLDERS or (not rooted and name in ("join", "resolve", "joinpath") and len(given) > 1 and _is_of_paths(call))
        if joins and any(".." in (text := string_of(one)) and text not in texts for one in given if one.type == "string"):
            reasons.append("what is joined leads out of the folder")
        root = keywords(call).get("root")
        if root is not None:
            given, joins = [root], True
        if not joins or not given:
            continue
        now = bare_folder(given[0], after)
        # `os.path.join(ROOT, "sub")` lies in it as well, unless what was asked for chooses it.
        if now not in roots and not (any(root in now for root in roots) and _not_asked(given[0], joined)):
            told = "another text" if given[0].type == "string" else f"`{shown(flat(given[0]))}`"
            reasons.append(f"{told} is the folder now, which it was not before")
    return reasons


def _is_of_paths(call: Node) -> bool:
    target = called(call)
    return target is not None and (target.type == "identifier" or flat(target).startswith(("os.path.", "path.", "posixpath.", "Path(")))


def _not_asked(node: Node, joined: Sequence[Sequence[Node]]) -> bool:
    """Whether a folder is made without what was joined to the end of it before."""
    last = {name for given in joined for name in names_in(given[-1])}
    return not names_in(node) & last


def bare_folder(node: Node, scope: Scope, steps: int = 0) -> str:
    """A folder as written, without what only spells it out, and by what is under its name when that is one thing."""
    if node.type in CALLS and steps < 8:
        given, target = given_to(node), called(node)
        name = last_name(target) if target is not None else ""
        if name in _PLAIN_PATHS and len(given) == 1:
            return bare_folder(given[0], scope, steps + 1)
        held = owner(target) if target is not None and target.type in ("attribute", "member_expression") else None
        if name in _PLAIN_PATHS and not given and held is not None:
            return bare_folder(held, scope, steps + 1)
    if node.type == "identifier" and steps < 8 and len(made := scope.under.get(flat(node), [])) == 1 and made[0].type in CALLS:
        return bare_folder(made[0], scope, steps + 1)
    if node.type == "string":
        return text_of(scope.pieces(node)).rstrip("/")
    return _same(node)


def _documents(sides: Sides, flagged: Sequence[Unit], added: Sequence[Unit]) -> list[str]:
    """YAML is read from the same text, by a function that gives the same."""
    reasons = []
    call_scope = flagged[0].scope
    for call in _calls(flagged):
        wanted = _SAME_CALLS.get(last_name(called(call) or call))
        given = given_to(call)
        if wanted is None or not given:
            continue
        text = given[0].child_by_field_name("value") if given[0].type == "keyword_argument" else given[0]
        now = [
            other
            for other in _calls(added)
            if last_name(called(other) or other) in {n for names in _SAME_CALLS.values() for n in names} | {"loads"}
        ]
        if any("BaseLoader" in flat(other) and "BaseLoader" not in flat(call) for other in now):
            reasons.append("`BaseLoader` gives texts where numbers, dates and truth values were")
        fits = [other for other in now if last_name(called(other) or other) in wanted]
        if now and not fits:
            reasons.append(f"`{shown(path_of(now[0]))}` gives something else than `{shown(path_of(call))}`")
        elif (
            fits
            and text is not None
            and not any(_same(text) in {_same(a), _same(a.child_by_field_name("value") or a)} for o in fits for a in given_to(o))
        ):
            still = {name for unit in sides.after.units if unit.scope == call_scope for name in unit.binds}
            still |= {name for one in sides.after.definitions if one.name == call_scope for name in one.parameters}
            if names_in(text) <= still and not any(
                flat(argument) in {n for unit in added for n in unit.binds} for other in fits for argument in given_to(other)
            ):
                reasons.append("another text is read now")
    return reasons
