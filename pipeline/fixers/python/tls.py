"""python.tls-verification-disabled: certificates and host names are checked again."""

from __future__ import annotations

import libcst as cst

from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting.python import imports
from pipeline.rewriting.python.code import Code, drop_argument, string_value
from pipeline.rewriting.source import Change, Edit

_TITLE = "verify TLS certificates"
_SAID = "The certificate of the other side is checked again, as the library does by default."
_NOTE = "A server with a certificate of a private authority now needs that authority's file: pass it instead of switching the check off."
_CLIENTS = ("requests.", "httpx.")
_SWITCHES = frozenset({"verify", "verify_ssl", "ssl", "verify_certs", "ssl_verify", "check_hostname", "assert_hostname", "tls_verify"})
_CLIENT_PROTOCOLS = frozenset({"ssl.PROTOCOL_TLS_CLIENT", "ssl.PROTOCOL_TLS", "ssl.PROTOCOL_SSLv23"})
_NONE = frozenset({"ssl.CERT_NONE", "CERT_NONE"})


def fix(code: Code, finding: Finding, _files: SourceFiles) -> Change | None:
    """Switch the check on again where the finding switches it off."""
    edits = _argument(code, finding) or _context(code, finding) or _assignment(code, finding)
    return Change(tuple(edits), _TITLE, _SAID, (_NOTE,)) if edits else None


def _false(code: Code, node: cst.BaseExpression) -> bool:
    return code.inner(node) == "False"


def _argument(code: Code, finding: Finding) -> list[Edit]:
    """`verify=False`, `ssl=False`, `cert_reqs=ssl.CERT_NONE` in a call."""
    for arg in code.keywords_at(finding.location, _SWITCHES | {"cert_reqs"}):
        name = arg.keyword.value if arg.keyword is not None else ""
        call = code.parent(arg)
        if not isinstance(call, cst.Call):
            continue
        if name == "cert_reqs":
            return _cert_reqs(code, arg)
        if name in _SWITCHES and _false(code, arg.value):
            if name not in {"verify", "ssl", "assert_hostname", "check_hostname"} and not _known(code, call):
                return [Edit(*code.span(arg.value), "True")]
            if name in {"ssl", "assert_hostname"} or (
                name == "verify" and _known(code, call) and not any(a.star == "**" for a in call.args)
            ):
                return [drop_argument(code, call, arg)]
            return [Edit(*code.span(arg.value), "True")]
    return []


def _cert_reqs(code: Code, arg: cst.Arg) -> list[Edit]:
    if code.qualified(arg.value) in _NONE:
        return [_required(code, arg.value)]
    if string_value(arg.value) in {"CERT_NONE", "NONE"} and isinstance(arg.value, cst.SimpleString):
        return [Edit(*code.span(arg.value), f"{arg.value.quote}CERT_REQUIRED{arg.value.quote}")]
    return []


def _required(code: Code, node: cst.BaseExpression) -> Edit:
    """`ssl.CERT_NONE` -> `ssl.CERT_REQUIRED`, in the module's own way of naming it."""
    if isinstance(node, cst.Attribute):
        return Edit(*code.span(node.attr), "CERT_REQUIRED")
    return Edit(*code.span(node), "True")


def _known(code: Code, call: cst.Call) -> bool:
    """True for a call of a library that verifies unless it is told not to."""
    dotted = code.callee(call)
    if dotted.startswith(_CLIENTS):
        return True
    if not isinstance(call.func, cst.Attribute):
        return False
    if isinstance(call.func.value, cst.Call) and code.callee(call.func.value).startswith(_CLIENTS):
        return True
    receiver = code.inner(call.func.value)
    values = [a.value for a in code.all(cst.Assign) if any(code.inner(t.target) == receiver for t in a.targets)]
    values += [w.item for w in code.all(cst.WithItem) if w.asname is not None and code.inner(w.asname.name) == receiver]
    return any(isinstance(value, cst.Call) and code.callee(value).startswith(_CLIENTS) for value in values)


def _context(code: Code, finding: Finding) -> list[Edit]:
    """`ssl._create_unverified_context`, called or put in the place of the default."""
    for node in code.near(finding.location, cst.Attribute, lambda n: code.qualified(n) == "ssl._create_unverified_context"):
        call = code.parent(node)
        if isinstance(call, cst.Call) and call.func is node:
            names = {arg.keyword.value if arg.keyword is not None else "" for arg in call.args}
            if not names <= {"cafile", "capath", "cadata", "purpose"}:
                return []
        return [Edit(*code.span(node.attr), "create_default_context")]
    return []


def _assignment(code: Code, finding: Finding) -> list[Edit]:
    """`session.verify = False`, `context.check_hostname = False`, `context.verify_mode = ssl.CERT_NONE`."""
    for assign in code.near(finding.location, cst.Assign, lambda a: _weakens(code, a)):
        target = assign.targets[0].target
        if not isinstance(target, cst.Attribute):
            continue
        if target.attr.value not in {"check_hostname", "verify_mode"}:
            return [Edit(*code.span(assign.value), "True")]
        return _pair(code, assign, code.inner(target.value))
    return []


def _weakens(code: Code, assign: cst.Assign) -> bool:
    target = assign.targets[0].target
    if len(assign.targets) != 1 or not isinstance(target, cst.Attribute):
        return False
    if target.attr.value == "verify_mode":
        return code.qualified(assign.value) in _NONE
    return target.attr.value in {"verify", "check_hostname", "verify_ssl", "verify_certs", "ssl_verify", "assert_hostname"} and _false(
        code, assign.value
    )


def _pair(code: Code, assign: cst.Assign, context: str) -> list[Edit]:
    """A context is weakened by two statements; one of them alone would raise ValueError, so both change together."""
    block = code.block(assign)
    both = [a for a in code.all(cst.Assign, block) if _weakens(code, a) and _context_of(code, a) == context]
    makers = [a.value for a in code.all(cst.Assign) if any(code.inner(t.target) == context for t in a.targets)]
    default = bool(makers) and all(isinstance(m, cst.Call) and code.callee(m) == "ssl.create_default_context" for m in makers)
    lines = [code.statement(a) for a in both]
    if default and _removable(code, lines):
        return [imports.remove_line(code, line) for line in lines if line is not None]
    if default and any(line is not None and isinstance(code.parent(code.parent(line) or line), cst.If) for line in lines):
        return []  # a way out that somebody built on purpose: what becomes of it is for them to say
    if (maker := _bare_client_context(code, makers, context)) is not None:
        return [maker, *(imports.remove_line(code, line) for line in lines if line is not None)] if _removable(code, lines) else []
    edits = []
    for entry in both:
        target = entry.targets[0].target
        mode = isinstance(target, cst.Attribute) and target.attr.value == "verify_mode"
        edits.append(_required(code, entry.value) if mode else Edit(*code.span(entry.value), "True"))
    unverified = any("_create_unverified_context" in code.inner(m) for m in makers)
    return edits if default or not makers or unverified or _has_authorities(code, context) else []


def _bare_client_context(code: Code, makers: list[cst.BaseExpression], context: str) -> Edit | None:
    """`SSLContext(PROTOCOL_TLS_CLIENT)` that was given no authorities: the default context has them and checks."""
    maker = makers[0] if len(makers) == 1 else None
    if not isinstance(maker, cst.Call) or code.callee(maker) != "ssl.SSLContext" or _has_authorities(code, context):
        return None
    if len(maker.args) > 1 or (maker.args and code.qualified(maker.args[0].value) not in _CLIENT_PROTOCOLS):
        return None
    end = code.span(maker)[1]
    return Edit(code.span(maker.func.attr)[0], end, "create_default_context()") if isinstance(maker.func, cst.Attribute) else None


def _context_of(code: Code, assign: cst.Assign) -> str:
    target = assign.targets[0].target
    attribute = isinstance(target, cst.Attribute) and target.attr.value in {"check_hostname", "verify_mode"}
    return code.inner(target.value) if attribute and isinstance(target, cst.Attribute) else ""


def _removable(code: Code, lines: list[cst.SimpleStatementLine | None]) -> bool:
    kept = [line for line in lines if line is not None]
    return len(kept) == len(lines) and all(imports.removable(code, line, kept) for line in kept)


def _has_authorities(code: Code, context: str) -> bool:
    """True when the context knows whom to trust; a bare `SSLContext` trusts nobody and would refuse everything."""
    loads = {f"{context}.{name}" for name in ("load_default_certs", "load_verify_locations", "set_default_verify_paths")}
    return any(code.inner(call.func) in loads for call in code.all(cst.Call))
