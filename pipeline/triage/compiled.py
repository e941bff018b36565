"""What the grammars of Go and Java call what those of Python and JavaScript have other words for. See `pipeline.triage.nodes`."""

from __future__ import annotations

SIMPLE = frozenset(
    [
        # Go
        "short_var_declaration",
        "assignment_statement",
        "var_declaration",
        "const_declaration",
        "go_statement",
        "defer_statement",
        "send_statement",
        "inc_statement",
        "dec_statement",
        "goto_statement",
        "fallthrough_statement",
        # Java
        "local_variable_declaration",
        "explicit_constructor_invocation",
        "yield_statement",
        # both: an import, and a field of a struct or a class
        "import_declaration",
        "field_declaration",
    ]
)
HEADERS = {
    "expression_switch_statement": "value",
    "type_switch_statement": "value",
    "select_statement": "",
    "enhanced_for_statement": "value",
    "switch_expression": "condition",
    "try_with_resources_statement": "",
    "synchronized_statement": "",
}
FUNCTIONS = frozenset(
    ["method_declaration", "func_literal", "constructor_declaration", "compact_constructor_declaration", "lambda_expression"]
)
CLASSES = frozenset(["type_spec", "interface_declaration", "enum_declaration", "record_declaration", "annotation_type_declaration"])
BLOCKS = frozenset(
    [
        *("source_file", "statement_list", "expression_case", "default_case", "type_case", "communication_case", "field_declaration_list"),
        *("constructor_body", "switch_block_statement_group", "switch_rule", "interface_body", "enum_body", "enum_body_declarations"),
        "annotation_type_body",
    ]
)
LEAVING = frozenset(["goto_statement", "yield_statement"])
CALLS = frozenset(["method_invocation", "object_creation_expression"])
MEMBERS = frozenset(["selector_expression", "field_access"])
TEXTS = frozenset(["interpreted_string_literal", "raw_string_literal", "string_literal"])
PLAIN = frozenset(["nil", "int_literal", "float_literal", "null_literal", "decimal_integer_literal", "decimal_floating_point_literal"])
ROUTES = frozenset(["GET", "POST", "PUT", "DELETE", "PATCH", "Get", "Post", "Put", "Delete", "Patch", "Handle", "HandleFunc", "Any"])
"""By which the routers of Go (net/http, gin, echo, chi) are told a path."""
MAKERS = frozenset(["fmt.Sprintf", "fmt.Sprint", "fmt.Sprintln", "String.format", "MessageFormat.format"])
"""Functions that put values into a text, by their path."""
ASSIGNING = frozenset(["assignment_statement", "short_var_declaration", "var_spec"])
BINDING_FIELDS = frozenset(
    [
        ("var_spec", "name"),
        ("const_spec", "name"),
        ("enhanced_for_statement", "name"),
        ("formal_parameter", "name"),
        ("parameter_declaration", "name"),
        ("catch_formal_parameter", "name"),
        ("resource", "name"),
    ]
)
WHOLE = frozenset(["integer", "number", "int_literal", "decimal_integer_literal"])
"""Whole numbers in digits, of every language."""
