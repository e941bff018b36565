"""Questions to one node of a syntax tree: is it a statement, a call, a string that values are put into; what is it called.

Python, JavaScript, TypeScript, Go and Java side by side: their grammars share most words, and where they differ all are listed.
"""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from pipeline.triage import compiled

SIMPLE = frozenset(
    [
        *("expression_statement", "return_statement", "raise_statement", "assert_statement", "delete_statement", "pass_statement"),
        *("break_statement", "continue_statement", "global_statement", "nonlocal_statement", "import_statement", "import_from_statement"),
        "future_import_statement",
        *("lexical_declaration", "variable_declaration", "throw_statement", "debugger_statement"),  # JavaScript and TypeScript
        *compiled.SIMPLE,
    ]
)
"""Statements without statements in them (but for those of functions in their expressions)."""

HEADERS = {
    "if_statement": "condition",
    "elif_clause": "condition",
    "while_statement": "condition",
    "do_statement": "condition",
    "for_statement": "right",
    "for_in_statement": "right",
    "match_statement": "subject",
    "switch_statement": "value",
    "with_statement": "",
    "except_clause": "",
    **compiled.HEADERS,
}
"""Statements with a block, and the field that is evaluated at their head; `""`: everything before the block."""

FUNCTIONS = frozenset(
    [
        "function_definition",
        "function_declaration",
        "generator_function_declaration",
        "function_expression",
        "generator_function",
        "arrow_function",
        "method_definition",
        "lambda",
        *compiled.FUNCTIONS,
    ]
)
CLASSES = frozenset(["class_definition", "class_declaration", "class", "abstract_class_declaration", *compiled.CLASSES])
BLOCKS = frozenset(["block", "statement_block", "module", "program", "class_body", "switch_case", "switch_default", *compiled.BLOCKS])
OUTSIDE = frozenset(["decorator", "class_heritage", "argument_list", "default_parameter"])
"""What is evaluated beside a definition, in no statement of its own."""
LEAVING = frozenset(["return_statement", "raise_statement", "throw_statement", "break_statement", "continue_statement"]) | compiled.LEAVING
CALLS = frozenset(["call", "call_expression", "new_expression"]) | compiled.CALLS
MEMBERS = frozenset(["attribute", "member_expression"]) | compiled.MEMBERS
INDEXED = frozenset(["subscript", "subscript_expression", "index_expression", "array_access"])
TEXTS = frozenset(["string", "template_string"]) | compiled.TEXTS

ROUTE_METHODS = frozenset(["get", "post", "put", "delete", "patch", "head", "options", "all", "use", "route", "websocket", "add_url_rule"])
ROUTE_METHODS |= compiled.ROUTES
REGISTERING = ROUTE_METHODS | {
    *("on", "once", "addListener", "addEventListener", "subscribe", "command", "task", "register", "define", "component", "directive"),
    *("controller", "service", "factory", "describe", "it", "test", "before", "after", "beforeEach", "afterEach"),
}
"""Calls that keep a function under a name: their first text."""
TEXT_METHODS = frozenset(["format", "join", "concat", "format_map", "replace"])
PLAIN = frozenset(["true", "false", "none", "null", "undefined", "integer", "float", "number", "unary_expression", "not_operator"])
PLAIN |= compiled.PLAIN
"""Constants whose truth is all that matters of them."""
QUOTERS = frozenset(["quote", "int", "float", "len", "parseInt", "Number"])
"""What they return carries no text of the one who sent the value."""
MAX_TEXT = 20_000


def constant_truth(node: Node | None) -> bool | None:
    """What a condition without any name in it amounts to, as far as that is plain; None when it depends on something.

    A comparison or a sum of constants counts as False: whoever writes one hides something, and which way does not matter.
    """
    if node is None:
        return None
    inner = node
    while inner.type == "parenthesized_expression" and inner.named_child_count == 1:
        inner = inner.named_children[0]
    text = decode(inner.text or b"").strip()
    if inner.type in PLAIN and inner.type not in ("unary_expression", "not_operator"):
        return text not in ("False", "false", "None", "null", "nil", "undefined", "0", "0.0", "0x0", "0n", "")
    if inner.type == "string" or inner.type in compiled.TEXTS:
        return string_of(inner) != ""
    if inner.type in ("not_operator", "unary_expression"):
        argument = inner.child_by_field_name("argument")
        truth = constant_truth(argument)
        return None if truth is None or not text.startswith(("not", "!")) else not truth
    if inner.type in ("boolean_operator", "binary_expression") and operator(inner) in ("and", "&&", "or", "||"):
        parts = [constant_truth(inner.child_by_field_name(side)) for side in ("left", "right")]
        decisive = operator(inner) in ("or", "||")
        if decisive in parts:
            return decisive
        return None if None in parts else not decisive
    if any(n.type in ("identifier", "this") or n.type in CALLS or n.type in MEMBERS for n in walk(inner)):
        return None
    return False


def operator(node: Node) -> str:
    operator = node.child_by_field_name("operator")
    return operator.type if operator is not None else ""


def is_unit(node: Node) -> bool:
    if node.type in HEADERS:
        return True
    parent = node.parent
    if node.type not in SIMPLE:
        return False
    # The head of `for (let i = 0; ...)` is no statement of its own.
    return parent is None or parent.type not in ("for_statement", "for_in_statement") or node == parent.child_by_field_name("body")


def own_text(node: Node, end: int) -> bytes:
    """The text of a statement up to `end` without the bodies of the functions in it, whose statements are read by themselves."""
    text, start = node.text or b"", node.start_byte
    pieces: list[bytes] = []
    at = start
    stack = [node]
    while stack:
        current = stack.pop()
        if current.start_byte >= end:
            continue
        body = current.child_by_field_name("body") if current.type in FUNCTIONS else None
        if body is not None and at <= body.start_byte and body.end_byte <= end:
            pieces += [text[at - start : body.start_byte - start], b"{}"]
            at = body.end_byte
            # Parameters stand in front of the body and are words of the statement; nothing behind it belongs to the function.
            continue
        stack.extend(reversed(current.named_children))
    return b"".join([*pieces, text[at - start : end - start]])


def words_of(node: Node, end: int) -> tuple[bytes, ...]:
    """Words and signs of a statement up to `end`, without the bodies of the functions in it (see `own_text`)."""
    words: list[bytes] = []
    stack = [node]
    while stack:
        current = stack.pop()
        if current.start_byte >= end or current.type == "comment":
            continue
        body = current.child_by_field_name("body") if current.type in FUNCTIONS else None
        if not current.child_count or current.type in ("string", "template_string"):
            words.append(current.text or b"")
        # A body is a statement or a block of them: it counts as one sign.
        stack.extend(child for child in reversed(current.children) if child != body)
        if body is not None:
            words.append(b"{}")
    return tuple(words)


def is_block(node: Node) -> bool:
    return node.type in BLOCKS


def is_empty(node: Node) -> bool:
    if node.type in ("pass_statement", "global_statement", "nonlocal_statement", "debugger_statement"):
        return True
    return node.type == "expression_statement" and [c.type for c in node.named_children] in (
        ["string"],
        ["ellipsis"],
        ["concatenated_string"],
    )


def is_require(node: Node) -> bool:
    """`const x = require("y")`, the import of CommonJS: exempt like any import."""
    if node.type not in ("lexical_declaration", "variable_declaration"):
        return False
    values = [child.child_by_field_name("value") for child in node.named_children if child.type == "variable_declarator"]
    return bool(values) and all(value is not None and flat(value).startswith("require(") for value in values)


def is_callee(node: Node) -> bool:
    parent = node.parent
    if parent is None or parent.type not in CALLS:
        return False
    return node == called(parent)


def called(call: Node) -> Node | None:
    """What a call names: a function or method with what it is taken from, in Java its name alone, or the class of a new object."""
    if call.type == "method_invocation":
        return call.child_by_field_name("name")
    if call.type == "object_creation_expression":
        return call.child_by_field_name("type")
    return call.child_by_field_name("function") or call.child_by_field_name("constructor")


def owner(node: Node) -> Node | None:
    """`a.b` of `a.b.c`, of which Java makes a part of the call itself."""
    return node.child_by_field_name("object") or node.child_by_field_name("operand")


def path_of(call: Node) -> str:
    """What is called, as written: `fmt.Sprintf`."""
    target = called(call)
    before = call.child_by_field_name("object") if call.type == "method_invocation" else None
    named = flat(target) if target is not None else ""
    return f"{flat(before)}.{named}" if before is not None else named


def leads_to_callee(node: Node) -> bool:
    """True for `a` in `a.b.c(...)`: the first name on the way to what is called."""
    parent = node.parent
    child: Node = node
    while parent is not None and (parent.type in MEMBERS or parent.type == "method_invocation") and owner(parent) == child:
        if parent.type == "method_invocation" or is_callee(parent):
            return True
        child = parent
        parent = parent.parent
    return False


# fmt: off
_BINDING_FIELDS = {
    ("assignment", "left"), ("augmented_assignment", "left"), ("named_expression", "name"),
    ("for_statement", "left"), ("for_in_clause", "left"), ("for_in_statement", "left"),
    ("variable_declarator", "name"), ("assignment_expression", "left"), ("augmented_assignment_expression", "left"),
    ("catch_clause", "parameter"), ("arrow_function", "parameter"), ("pair_pattern", "value"),
    ("assignment_pattern", "left"), ("object_assignment_pattern", "left"),
    *compiled.BINDING_FIELDS,
}
# fmt: on
_PATTERNS = frozenset(
    ["pattern_list", "tuple_pattern", "list_pattern", "as_pattern_target", "list_splat_pattern", "array_pattern", "rest_pattern"]
)


def is_glued(node: Node) -> bool:
    """True for `x["a" + "b"]`: a member by a constant name that nobody can search for."""
    index = node.child_by_field_name("index") or node.child_by_field_name("subscript")
    if index is None or index.type not in ("binary_expression", "binary_operator", "concatenated_string", "template_string"):
        return False
    return not names_in(index) and any(inner.type in ("string", "template_string") for inner in walk(index))


def is_binding(name: str, parent: Node) -> bool:
    if parent.type == "expression_list":  # Go: `a, b := ...`
        around = parent.parent
        return around is not None and around.child_by_field_name("left") == parent
    return (parent.type, name) in _BINDING_FIELDS or parent.type in _PATTERNS or parent.type in ("lambda_parameters", "formal_parameters")


def builds(node: Node) -> bool:
    """True for an expression that puts values into a string."""
    if node.type == "string":
        return any(child.type == "interpolation" for child in node.children)
    if node.type == "template_string":
        return any(child.type == "template_substitution" for child in node.children)
    if node.type in ("binary_operator", "binary_expression"):
        if operator(node) not in ("+", "%"):
            return False
        sides = [node.child_by_field_name(side) for side in ("left", "right")]
        return any(side is not None and any(n.type in TEXTS for n in spine(side)) for side in sides)
    if node.type in ("augmented_assignment", "augmented_assignment_expression"):
        return any(n.type in TEXTS for n in walk(node))
    if node.type in CALLS:
        if path_of(node) in compiled.MAKERS:
            return True
        target = node.child_by_field_name("function")
        if target is None or target.type not in ("attribute", "member_expression") or last_name(target) not in TEXT_METHODS:
            return False
        receiver = target.child_by_field_name("object")
        return receiver is not None and receiver.type in ("string", "template_string", "concatenated_string", "array", "list")
    return False


def spine(node: Node) -> Iterator[Node]:
    """The operands of a chain of `+`, without going into calls."""
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        if current.type in ("binary_operator", "binary_expression", "parenthesized_expression", "concatenated_string"):
            stack.extend(current.named_children)


def walk(node: Node, without: frozenset[str] = frozenset()) -> Iterator[Node]:
    """The node and all named ones below it, in order; calls of the names `without` are left out whole."""
    stack = [node]
    while stack:
        current = stack.pop()
        if without and current.type in CALLS:
            target = called(current)
            if target is not None and last_name(target) in without:
                continue
        yield current
        stack.extend(reversed(current.named_children))


def raw_names(node: Node) -> set[str]:
    """Names that a string-building expression puts in, without what a quoting or number-making function has dealt with."""
    field = "right" if node.type.startswith("augmented_assignment") else "arguments" if path_of(node) in compiled.MAKERS else ""
    right = node.child_by_field_name(field) if field else None
    return names_in(right or node, QUOTERS)


def destructured(target: Node) -> Iterator[tuple[str, str]]:
    """(name here, member there) of `const { a, b: c } = ...`; one pair without a member for `const x = ...`."""
    if target.type != "object_pattern":
        yield flat(target), ""
        return
    for child in target.named_children:
        key, value = child.child_by_field_name("key"), child.child_by_field_name("value")
        if key is not None and value is not None:
            yield flat(value), flat(key)
        else:
            yield flat(child), flat(child)


def names_in(node: Node, without: frozenset[str] = frozenset()) -> set[str]:
    """Names of values used in an expression: neither what is called nor keywords of a call.

    Args:
        without: calls of these names are not looked into.
    """
    names = set()
    for inner in walk(node, without):
        if inner.type in ("identifier", "shorthand_property_identifier", "shorthand_property_identifier_pattern"):
            parent = inner.parent
            keyword = parent is not None and parent.type == "keyword_argument" and parent.child_by_field_name("name") == inner
            attribute = parent is not None and parent.type == "attribute" and parent.child_by_field_name("attribute") == inner
            if not keyword and not attribute and not is_callee(inner):
                names.add(decode(inner.text or b""))
    return names


def last_name(node: Node) -> str:
    last = node.child_by_field_name("attribute") or node.child_by_field_name("property")
    if node.type in compiled.MEMBERS:
        last = node.child_by_field_name("field")
    if last is not None:
        return decode(last.text or b"")
    if node.type in ("identifier", "property_identifier", "super", "import", "type_identifier"):
        return decode(node.text or b"")
    return ""


def root_name(node: Node) -> str:
    current: Node = node
    while current.type in MEMBERS:
        inner = owner(current)
        if inner is None:
            return ""
        current = inner
    return decode(current.text or b"") if current.type in ("identifier", "this") else ""


def definition_name(node: Node) -> str:
    name = node.child_by_field_name("name")
    if name is not None:
        receiver = node.child_by_field_name("receiver")  # Go: a method stands beside its type
        of = next((flat(n) for n in walk(receiver) if n.type == "type_identifier"), "") if receiver is not None else ""
        return f"{of}.{flat(name)}" if of else flat(name)
    parent = node.parent
    fields = {
        "variable_declarator": "name",
        "assignment_expression": "left",
        "pair": "key",
        "field_definition": "property",
        "assignment": "left",
    }
    if parent is not None and parent.type in fields:
        target = parent.child_by_field_name(fields[parent.type])
        return flat(target) if target is not None else ""
    if parent is not None and parent.type == "arguments" and parent.parent is not None:
        target = parent.parent.child_by_field_name("function")
        first = next(iter(parent.named_children), None)
        # What a handler is registered under is its name; the text that is handed to a program or a database beside it is none.
        if target is not None and first is not None and first.type == "string" and last_name(target) in REGISTERING:
            return f"{flat(target)}:{string_of(first)}"[:120]
    return ""


def parameters(node: Node | None) -> Iterator[str]:
    if node is None:
        return
    if node.type in ("identifier",):
        yield decode(node.text or b"")
        return
    for child in node.named_children:
        if child.type in ("parameter_declaration", "variadic_parameter_declaration", "formal_parameter"):
            yield from (decode(name.text or b"") for name in child.children_by_field_name("name"))
            continue
        first = next((n for n in walk(child) if n.type in ("identifier", "shorthand_property_identifier_pattern")), None)
        if first is not None:
            yield decode(first.text or b"")


def signature(node: Node | None) -> tuple[str, ...]:
    """Parameters with their stars, order and defaults, without types."""
    if node is None:
        return ()
    listed = [node] if node.type == "identifier" else [child for child in node.children if child.is_named or child.type in ("*", "/")]
    return tuple(_parameter(child) for child in listed if child.type != "comment")


def _parameter(node: Node) -> str:
    name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
    if node.type in ("default_parameter", "typed_default_parameter") and name is not None and value is not None:
        return f"{flat(name)}={flat(value)}"
    if node.type == "typed_parameter" and node.named_children:
        return flat(node.named_children[0])
    if node.type in ("required_parameter", "optional_parameter"):  # TypeScript
        pattern = node.child_by_field_name("pattern")
        return (flat(pattern) if pattern is not None else flat(node)) + (
            f"={flat(value)}" if value is not None else "?=" * (node.type[0] == "o")
        )
    return flat(node)


def whole_numbers(arguments: Node | None) -> tuple[int, ...]:
    """Arguments of a call that are whole numbers in digits."""
    texts = [flat(child) for child in arguments.named_children if child.type in compiled.WHOLE] if arguments is not None else []
    digits = (text.replace("_", "") for text in texts)
    return tuple(int(text) for text in digits if text.isdecimal() and len(text) < 19)


def is_decided(node: Node) -> bool:
    """True for an expression in which a constant decides: `"x" or name`, `name and ()`, `timeout * 0`."""
    if node.type not in ("boolean_operator", "binary_operator", "binary_expression"):
        return False
    left, right = (constant_truth(node.child_by_field_name(side)) for side in ("left", "right"))
    sign = operator(node)
    if sign in ("or", "||"):
        return left is True
    if sign in ("and", "&&"):
        return left is False or right is False
    zero = [side for side in ("left", "right") if decode((node.child_by_field_name(side) or node).text or b"") == "0"]
    return sign == "*" and bool(zero)


def swallows(node: Node) -> bool:
    """True for a handler that does nothing with an error: an empty `except` or `catch`, `suppress(...)`, `.catch(() => {})`."""
    if node.type in ("except_clause", "catch_clause"):
        body = next((child for child in reversed(node.named_children) if is_block(child)), None)
        return body is not None and all(
            child.type in ("pass_statement", "comment", "line_comment", "block_comment", "continue_statement")
            for child in body.named_children
        )
    target, arguments = node.child_by_field_name("function"), node.child_by_field_name("arguments")
    if target is None or arguments is None:
        return False
    if last_name(target) == "suppress":
        return True
    if last_name(target) != "catch" or len(arguments.named_children) != 1:
        return False
    body = arguments.named_children[0].child_by_field_name("body")
    return body is not None and (body.named_child_count == 0 if is_block(body) else body.type in PLAIN)


def parameters_in(node: Node) -> set[str]:
    """Parameters of the functions that stand in a node."""
    listed = (
        inner.child_by_field_name("parameters") or inner.child_by_field_name("parameter") for inner in walk(node) if inner.type in FUNCTIONS
    )
    return {name for parameter in listed for name in parameters(parameter)}


def string_of(node: Node | None) -> str:
    if node is None:
        return ""
    return "".join(
        decode(c.text or b"")
        for c in node.children
        if c.type.endswith(("string_content", "string_fragment", "literal_content")) or c.type == "escape_sequence"
    )


def flat(node: Node) -> str:
    return "".join(decode(node.text or b"").split())[:MAX_TEXT]


def shown(code: str) -> str:
    """As much of an expression as may be repeated to people: up to its first text, which can be a secret, and 60 characters at most."""
    cut = min((at for quote in "'\"`" if (at := code.find(quote)) >= 0), default=len(code))
    return code[: min(cut, 60)] + ("…" if cut < len(code) else "")


def decode(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def last_line(node: Node) -> int:
    end = node.end_point
    return end.row + 1 if end.column or end.row == node.start_point.row else end.row
