"""go.tls-verification-disabled: certificates are checked again."""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node, Tree

from pipeline.model.finding import Finding
from pipeline.rewriting.source import Change, Edit, Source

_SWITCH = b"InsecureSkipVerify"
_CHANGE = "The certificate of the other side is checked again, as crypto/tls does by default."
_NOTE = "A server with a certificate of a private authority now needs that authority: put it into `RootCAs` instead of skipping the check."


def fix(source: Source, tree: Tree, finding: Finding) -> Change | None:
    """`true` becomes `false` where the finding switches the check off; several such places on its lines are not told apart."""
    start, end = source.range_of(finding.location)
    values = [value for value in _switched_off(tree) if value.start_byte < end and start < value.end_byte]
    if len(values) != 1:
        return None
    return Change((Edit(values[0].start_byte, values[0].end_byte, "false"),), "verify TLS certificates", _CHANGE, (_NOTE,))


def _switched_off(tree: Tree) -> Iterator[Node]:
    """Each `true` that is given to the switch: as a field of a literal, or in an assignment of it alone."""
    waiting = [tree.root_node]
    while waiting:
        node = waiting.pop()
        waiting.extend(node.named_children)
        if node.type == "keyed_element":
            name, value = node.child_by_field_name("key"), node.child_by_field_name("value")
            named = name is not None and name.text == _SWITCH
        elif node.type == "assignment_statement":
            name, value = node.child_by_field_name("left"), node.child_by_field_name("right")
            named = name is not None and (name.text or b"").endswith(b"." + _SWITCH) and name.named_child_count == 1
        else:
            continue
        if named and value is not None and value.text == b"true":
            yield value
