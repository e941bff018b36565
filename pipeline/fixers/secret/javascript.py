"""A secret in a JavaScript or TypeScript file becomes `process.env.NAME`."""

from __future__ import annotations

from tree_sitter import Node

from pipeline.fixers.secret.literals import Candidate, Taken, choose, scheme_of, setting_name
from pipeline.model.finding import Finding
from pipeline.rewriting.javascript.code import Code, ancestors, key_of, parse
from pipeline.rewriting.javascript.imports import browser
from pipeline.rewriting.source import Edit, Source


def take(source: Source, finding: Finding) -> Taken | None:
    """The literal at the finding and its reading from the environment; None in code for browsers, where nothing stays secret."""
    code = parse(source)
    if code is None or browser(code) or b"import.meta.env" in source.data:
        return None
    literals = {node.start_byte: node for node in code.all({"string", "template_string"}) if _is_value(code, node)}
    candidates = [Candidate(n.start_byte, n.end_byte, code.text(n)[1:-1]) for n in literals.values()]
    chosen = choose(source, finding, candidates)
    name = setting_name(_names(code, literals[chosen.start]), finding.secret) if chosen is not None else ""
    if chosen is None or not name:
        return None
    prefix, secret = scheme_of(chosen.value)
    strict = source.path.endswith((".ts", ".tsx", ".mts", ".cts"))
    edits: list[Edit] = []
    for other in literals.values():
        if code.text(other)[1:-1] == chosen.value:
            place = _fallback(code, other) or other
            expression = f"process.env.{name}"
            if prefix:
                expression = f"`{prefix}${{{expression}}}`"
            elif strict and place.parent is not None and place.parent.type != "template_substitution":
                expression += "!"
            edits.append(Edit(place.start_byte, place.end_byte, expression))
    return Taken(tuple(edits), name, secret)


def _is_value(code: Code, node: Node) -> bool:
    """True for a literal that the program uses as a value of its own."""
    parent = node.parent
    if parent is None or "\\" in code.text(node) or any(child.type == "template_substitution" for child in node.named_children):
        return False
    if parent.type == "pair":
        return parent.child_by_field_name("key") != node
    if parent.type == "assignment_expression" and code.text(parent).startswith("process.env"):
        return False
    return parent.type not in {
        "import_statement",
        "import_specifier",
        "expression_statement",
        "jsx_attribute",
        "literal_type",
        "subscript_expression",
        "export_statement",
        "template_substitution",
    }


def _fallback(code: Code, node: Node) -> Node | None:
    """`process.env.X || "literal"`: the whole expression, which needs no fallback."""
    parent = node.parent
    if parent is None or parent.type != "binary_expression" or parent.child_by_field_name("right") != node:
        return None
    left, operator = parent.child_by_field_name("left"), parent.child_by_field_name("operator")
    ours = left is not None and code.text(left).startswith("process.env") and operator is not None and operator.type in {"||", "??"}
    return parent if ours else None


def _names(code: Code, node: Node) -> list[str]:
    """What the source calls a value, best first."""
    fallback = _fallback(code, node)
    left = fallback.child_by_field_name("left") if fallback is not None else None
    if left is not None and left.type == "member_expression" and code.qualified(left.child_by_field_name("object")) == "process.env":
        return [code.text(left).rsplit(".", 1)[-1]]
    names: list[str] = []
    for around in (node, *ancestors(node)):
        if around.type == "pair":
            names.append(key_of(code, around))
        elif around.type == "variable_declarator":
            target = around.child_by_field_name("name")
            names.append(code.text(target) if target is not None and target.type == "identifier" else "")
        elif around.type in {"assignment_expression", "public_field_definition", "assignment_pattern"}:
            target = around.child_by_field_name("left") or around.child_by_field_name("name")
            names.append(code.text(target).removeprefix("this.") if target is not None else "")
        elif around.type.endswith("_statement") or around.type == "statement_block":
            break
    return names
