"""Who may ask: routes without a question, roles that the visitor says, records of others."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator

from pipeline.frameworks.hits import Hit
from pipeline.frameworks.python import GUARD, Module, View, assigned, calls, dotted, last, names, text

_DESTROYS = frozenset({"drop_all", "drop_database", "drop_collection", "rmtree", "flushall", "flushdb", "truncate"})
_DELETES = frozenset({"delete", "delete_one", "delete_many", "remove", "unlink", "destroy"}) | _DESTROYS
_CHANGES = (
    frozenset({"create", "insert", "insert_one", "insert_many", "update_one", "update_many", "replace_one", "commit", "bulk_create"})
    | _DELETES
)
_STATEMENT = re.compile(r"\s*(delete\s+from|drop\s+table|truncate|update\s+\w+\s+set|insert\s+into)\b", re.IGNORECASE)
_GONE = re.compile(r"\s*(delete\s+from|drop\s+table|truncate)\b", re.IGNORECASE)
_OPEN = re.compile(
    r"log_?(in|out|off)|sign_?(in|up|out)|regist|subscri|contact|feedback|hook|callback|health|ping|forgot|recover|confirm|activat|verif|"
    r"search|setup|install|track|event|metric|report|token|auth|oauth|newsletter|captcha|checkout|cart|vote|import|test|password|join|invit|"
    r"(create|add|new)_?(user|account)",
    re.IGNORECASE,
)
"""Names of routes that strangers use, because that is what they are for."""
_PEOPLE = re.compile(r"^(Users?|Accounts?|Customers?|Members?|Employees?|Patients?|Clients?|Persons?|People|Admins?)(Model)?$")
_LOOKED_UP = 50
"""Records of one view that are followed."""
_PLAIN_BASES = frozenset({"View", "MethodView", "Resource", "RequestHandler", "HTTPEndpoint"})
_EVERYBODY = re.compile(r"^(all|find|get_all|list)(_\w+)?$")
_ADMIN_FLAGS = frozenset({"admin", "is_admin", "isAdmin", "is_staff", "is_superuser", "superuser", "isadmin", "administrator"})
_ADMIN_WORDS = frozenset({"admin", "administrator", "root", "superuser", "superadmin"})
_PRIVATE = re.compile(
    r"(^|_)(ccn|cc_num|card_?(number|no)|credit_?card|ssn|secret\w*|password\w*|passwd|balance|iban|salary|medical\w*|diagnosis)$", re.I
)
_OWNERS = re.compile(r"user|owner|author|account|tenant|created_by|member|token|code|nonce|hash|uuid|guid", re.IGNORECASE)


def missing_authentication(module: Module) -> Iterator[Hit]:
    """Views that destroy, change or list what belongs to others, in a file where others ask who is there, or where nobody does at all."""
    asking = _asking(module)
    if _asks_first(module):
        return
    alone = module.makes_app and not asking
    for view in module.views:
        if view.guarded or _OPEN.search(view.title) or _OPEN.search(view.path):
            continue
        if "django" in module.imports and _asks_by_user(view):
            continue
        if view.owner is not None and {dotted(base).rpartition(".")[2] for base in view.owner.bases} - _PLAIN_BASES:
            continue  # what it inherits may ask
        place, destroys, deletes, changes = _strongest(view)
        if destroys or (deletes and alone and view.writes) or (asking and (deletes or (changes and view.writes) or _lists_people(view))):
            yield Hit("python.missing-authentication", view.node, end=view.node.body[0], detail=f"`{place}`" if place else "")


def _asking(module: Module) -> list[View]:
    """Views that turn strangers away themselves. Django has checks for all views and for routes, which other files say: there, only what
    views are decorated with, or ask in so many words, tells that nothing else asks."""
    guarded = [view for view in module.views if view.guarded]
    decorated = [view for view in guarded if any(_is_guard(name) for name in _decorations(view))]
    if decorated or "django" not in module.imports:
        return decorated or [view for view in guarded if _refuses(view)]
    asking = [view for view in guarded if "is_authenticated" in view.names]
    return asking if len(asking) > 1 else []


def _asks_by_user(view: View) -> bool:
    """True when the signed-in user takes part: by himself, or in the name of what is called."""
    for inner in ast.walk(view.node):
        if isinstance(inner, ast.Attribute) and inner.attr == "user" and dotted(inner.value) in ("request", "self.request"):
            return True
        if isinstance(inner, ast.Call) and re.search(r"_user(_|$)", last(inner)):
            return True
    return False


def _decorations(view: View) -> Iterator[str]:
    for decorator in (*view.node.decorator_list, *(view.owner.decorator_list if view.owner is not None else ())):
        yield from names(decorator)


def _is_guard(name: str) -> bool:
    return GUARD.search(name) is not None and re.search(r"require_(POST|GET|http|safe)|csrf|sensitive", name) is None


def _strongest(view: View) -> tuple[str, bool, bool, bool]:
    destroys = deletes = changes = False
    place = ""
    for call in (call for statement in view.node.body for call in calls(statement)):
        name = last(call)
        method = isinstance(call.func, ast.Attribute) or name in ("rmtree", "remove", "unlink")
        saved = name == "save" and not call.args and isinstance(call.func, ast.Attribute) and "form" not in dotted(call.func).lower()
        if ((method and name in _CHANGES) or saved) and not re.search(r"session\.delete$|cache|redis|cookie", dotted(call.func)):
            destroys |= name in _DESTROYS and name not in ("rmtree", "truncate")
            deletes |= name in _DELETES
            changes = True
            place = place or f"{dotted(call.func)}()"
    for inner in ast.walk(view.node):
        said = text(inner)
        if said is not None and _STATEMENT.match(said):
            deletes |= _GONE.match(said) is not None
            changes = True
    return place, destroys, deletes, changes


def _lists_people(view: View) -> bool:
    """True when it answers with all accounts: `User.query.all()`, `User.get_all_users()`."""
    for call in calls(view.node):
        parts = dotted(call.func).split(".")
        if _PEOPLE.match(parts[0]) and _EVERYBODY.match(parts[-1]) and len(parts) > 1 and not call.args and not call.keywords:
            return not ({"filter", "filter_by", "count", "paginate", "limit"} & set(parts))
    return False


def _refuses(view: View) -> bool:
    """True when it turns somebody away by an answer of its own."""
    for inner in ast.walk(view.node):
        if isinstance(inner, ast.Constant) and inner.value in (401, 403):
            return True
        if isinstance(inner, ast.Name | ast.Attribute) and re.search(r"Forbidden|Unauthorized|PermissionDenied", last(inner)):
            return True
    return False


def _asks_first(module: Module) -> bool:
    """True when something in this file asks before every view: a hook, a router's dependencies, a base class."""
    for node, _ in module.functions:
        hooked = any(re.search(r"before_(app_)?request|middleware|url_value_preprocessor", dotted(d)) for d in node.decorator_list)
        if hooked and any(map(GUARD.search, names(node))):
            return True
    return any(word.arg in ("dependencies", "auth", "decorators") for call in calls(module.tree) for word in call.keywords) or any(
        isinstance(t, ast.Name) and t.id in ("decorators", "method_decorators", "permission_classes") for t, _ in assigned(module.tree)
    )


def role_from_request(module: Module) -> Iterator[Hit]:
    """`if request.GET.get("role") == "admin"`: what the visitor says opens what is not for him."""
    for view in module.views:
        for inner in ast.walk(view.node):
            if not isinstance(inner, ast.If | ast.IfExp):
                continue
            if any(isinstance(part, ast.Call | ast.Attribute) and GUARD.search(last(part)) for part in ast.walk(inner.test)):
                continue
            for compare in (part for part in ast.walk(inner.test) if isinstance(part, ast.Compare)):
                left, right = compare.left, compare.comparators[0]
                if not isinstance(compare.ops[0], ast.Eq):
                    continue
                for said, word in ((left, text(right)), (right, text(left))):
                    key = _key(said)
                    flag = key in _ADMIN_FLAGS and (word or "").lower() in ("1", "true", "yes", "on", "y")
                    role = (word or "").lower() in _ADMIN_WORDS and not re.search(
                        r"user_?name|^name$|login|^user$|email|search|filter|^q$", key
                    )
                    if key and (flag or role) and _direct(view, said):
                        yield Hit("python.role-from-request", compare)


def _key(node: ast.AST) -> str:
    """The literal name that a request is asked for."""
    if isinstance(node, ast.Subscript):
        return text(node.slice) or ""
    if isinstance(node, ast.Call) and last(node) in ("get", "getlist", "pop", "get_argument") and node.args:
        return text(node.args[0]) or ""
    return ""


def _direct(view: View, node: ast.AST) -> bool:
    """True for one item of what the request holds, taken without a check."""
    holder = (
        node.value
        if isinstance(node, ast.Subscript)
        else node.func.value
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        else None
    )
    return holder is not None and (view.is_request(holder) or (isinstance(holder, ast.Name) and holder.id in view.bare))


def mass_assignment(module: Module) -> Iterator[Hit]:
    """The whole body as fields of a record, or an administrator's flag out of it where anybody may ask."""
    for view in module.views:
        if any(re.search(r"admin", name, re.IGNORECASE) for decorator in view.node.decorator_list for name in names(decorator)):
            continue
        bare = view.bare - _chosen(view)
        for call in calls(view.node):
            for word in call.keywords:
                whole = view.is_request(word.value) or (isinstance(word.value, ast.Name) and word.value.id in bare)
                if word.arg is None and whole and _makes_record(call):
                    yield Hit("python.mass-assignment", call)
        for loop in (inner for inner in ast.walk(view.node) if isinstance(inner, ast.For)):
            over = loop.iter.func.value if isinstance(loop.iter, ast.Call) and isinstance(loop.iter.func, ast.Attribute) else loop.iter
            whole = view.is_request(over) or (isinstance(over, ast.Name) and over.id in bare)
            for call in calls(loop) if whole else ():
                checked = any(isinstance(part, ast.If) for part in ast.walk(loop))
                if isinstance(call.func, ast.Name) and call.func.id == "setattr" and not checked:
                    yield Hit("python.mass-assignment", call)
        yield from _flag_of_body(view)


def _makes_record(call: ast.Call) -> bool:
    name = dotted(call.func)
    if re.search(r"Schema|Form|Serializer|Validator|Request|Response|Error|Exception", name):
        return False
    return last(call)[:1].isupper() or re.search(r"objects\.(create|filter.*update)$|\.update$", name) is not None


def _chosen(view: View) -> set[str]:
    """Variables whose fields somebody set or took out, so that he thought of which may be there."""
    found = {dotted(target.value) for target, _ in assigned(view.node) if isinstance(target, ast.Subscript)}
    found |= {
        dotted(t.value)
        for node in ast.walk(view.node)
        if isinstance(node, ast.Delete)
        for t in node.targets
        if isinstance(t, ast.Subscript)
    }
    for call in calls(view.node):
        if isinstance(call.func, ast.Attribute) and call.func.attr == "pop":
            found.add(dotted(call.func.value))
        if re.search(r"valid|check|clean|filter", last(call), re.IGNORECASE):
            found |= {argument.id for argument in call.args if isinstance(argument, ast.Name)}
    return found


def _flag_of_body(view: View) -> Iterator[Hit]:
    made = [call for call in calls(view.node) if _PEOPLE.match(last(call)) or re.search(r"create_user|register_user", last(call))]
    guards = {name for name in view.names if GUARD.search(name)} - _ADMIN_FLAGS
    if not made or guards:
        return
    for inner in ast.walk(view.node):
        if isinstance(inner, ast.Subscript | ast.Call) and _key(inner) in _ADMIN_FLAGS and _direct(view, inner):
            yield Hit("python.mass-assignment", inner)
            return


def object_ownership(module: Module) -> Iterator[Hit]:
    """A record that only the request chooses: its private fields go out, or an account's password or address is changed."""
    for view in module.views:
        if any(re.search(r"admin|staff|superuser|permission|role", name, re.IGNORECASE) for name in _of_checks(view)):
            continue
        looked_up = ((t.id, v) for t, v in assigned(view.node) if isinstance(t, ast.Name) and _by_request_alone(view, v))
        for name, value in itertools.islice(looked_up, _LOOKED_UP):
            if not _compared(view, name) and (_private_read(view, name) or _changes_account(view, name, value)):
                yield Hit("python.object-ownership", value)


def _of_checks(view: View) -> Iterator[str]:
    """Names in decorators and in the places where a view decides."""
    for decorator in view.node.decorator_list:
        yield from names(decorator)
    for inner in ast.walk(view.node):
        if isinstance(inner, ast.If) and not view.hostile(inner.test):
            yield from (part.attr for part in ast.walk(inner.test) if isinstance(part, ast.Attribute))


def owned_by_others(module: Module) -> Iterator[Hit]:
    """A record that the request names is deleted or changed where nobody looks whose it is, in a file that knows of owners elsewhere."""
    owned = {
        last(call)
        for call in calls(module.tree)
        for word in call.keywords
        if re.search(r"user|owner|author", word.arg or "") and re.search(r"current_user|request\.user|g\.user", dotted(word.value))
    }
    for view in module.views:
        decorators = [dotted(decorator).rpartition(".")[2] for decorator in view.node.decorator_list]
        if "login_required" not in decorators or any(re.search(r"admin|permission|role|staff|test", name) for name in decorators):
            continue
        if any(re.search(r"current_user|user|owner|author|^g$|session_id|permission|allowed|can_", name) for name in _inside(view)):
            continue
        for target, value in assigned(view.node):
            found = value if isinstance(target, ast.Name) and isinstance(value, ast.Call) and _looked_up(view, value) else None
            if found is None or not isinstance(target, ast.Name) or _model(found) not in owned:
                continue
            if _deleted(view, target.id):
                yield Hit("python.object-ownership", found)


def _inside(view: View) -> frozenset[str]:
    """Names in the body of a view."""
    return frozenset(name for statement in view.node.body for name in names(statement))


def _looked_up(view: View, call: ast.Call) -> bool:
    given = [*call.args, *(word.value for word in call.keywords)]
    chosen = any(isinstance(a, ast.Name) and a.id in _url_names(view) for a in given)
    return last(call) in ("get", "get_or_404", "get_object_or_404", "first_or_404") and chosen


def _url_names(view: View) -> set[str]:
    return {argument.arg for argument in view.node.args.args} - {"self", "request", "db", "session"}


def _model(call: ast.Call) -> str:
    """`Note` of `session.get(Note, number)`, `Note.query.get(number)`, `get_object_or_404(Note, pk=number)`."""
    if call.args and isinstance(call.args[0], ast.Name) and call.args[0].id[:1].isupper():
        return call.args[0].id
    return dotted(call.func).partition(".")[0]


def _deleted(view: View, name: str) -> bool:
    for call in calls(view.node):
        if last(call) != "delete" or not isinstance(call.func, ast.Attribute):
            continue
        if dotted(call.func.value) == name or any(isinstance(a, ast.Name) and a.id == name for a in call.args):
            return True
    return any(isinstance(t, ast.Attribute) and dotted(t.value) == name and view.hostile(v) for t, v in assigned(view.node))


def _by_request_alone(view: View, value: ast.expr) -> bool:
    """`Model.query.get(x)`, `Model.query.filter_by(k=x).first()`, `Model.objects.get(pk=x)` with nothing of the signed-in user in it."""
    chain = dotted(value).split(".")
    if not (chain[0][:1].isupper() and ("query" in chain or "objects" in chain)) or not isinstance(value, ast.Call | ast.Await):
        return False
    asked = [call for call in calls(value) if last(call) in ("get", "get_or_404", "filter_by", "filter", "find_one")]
    given = [(word.arg or "", word.value) for call in asked for word in call.keywords] + [("", a) for call in asked for a in call.args]
    if len(given) != 1:
        return False
    key, node = given[0]
    own = _OWNERS.search(key) and key not in ("username", "user_name", "account_id", "user_id", "account_number")
    return view.hostile(node) and not own and not any(map(GUARD.search, names(node)))


def _compared(view: View, name: str) -> bool:
    """True when the record, or what chose it, is compared with anything but a constant."""
    for inner in ast.walk(view.node):
        if isinstance(inner, ast.Compare):
            sides = [inner.left, *inner.comparators]
            if any(isinstance(side, ast.Constant) for side in sides):
                continue
            if any(name in names(side) or (isinstance(side, ast.Name) and side.id in view.handed) for side in sides):
                return True
        if isinstance(inner, ast.Call) and GUARD.search(last(inner)) and any(isinstance(a, ast.Name) and a.id == name for a in inner.args):
            return True
    return False


def _private_read(view: View, name: str) -> bool:
    for inner in ast.walk(view.node):
        if isinstance(inner, ast.Dict):
            for value in inner.values:
                if isinstance(value, ast.Attribute) and dotted(value.value) == name and _PRIVATE.search(value.attr):
                    return True
    return False


def _changes_account(view: View, name: str, value: ast.expr) -> bool:
    if not _PEOPLE.match(dotted(value).partition(".")[0]) or re.search(
        r"reset|forgot|recover|regist|sign_?up", view.title + view.path, re.I
    ):
        return False
    return any(
        isinstance(t, ast.Attribute) and dotted(t.value) == name and t.attr in ("password", "email", "password_hash") and view.hostile(v)
        for t, v in assigned(view.node)
    )
