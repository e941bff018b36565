"""What we know of source text without running it: its language, whether it parses, and which definition encloses a line.

Grammars are tree-sitter's: they never execute anything, never fail on garbage and hold no state between files. Everything here is
pure and may be asked about hostile text of any kind; sizes are bounded by whoever made the tree (`pipeline.sandbox.tree`).
"""

from __future__ import annotations

import ast
import functools
import warnings
from collections.abc import Iterator
from pathlib import PurePosixPath

import tree_sitter_go
import tree_sitter_java
import tree_sitter_javascript
import tree_sitter_python
import tree_sitter_typescript
from tree_sitter import Language, Node, Parser, Tree

from pipeline.formats import format_of, well_formed

_LANGUAGES = {
    ".py": "python",
    ".pyi": "python",
    ".pyw": "python",
    ".js": "javascript",
    ".jsx": "javascript",
    ".mjs": "javascript",
    ".cjs": "javascript",
    ".ts": "typescript",
    ".mts": "typescript",
    ".cts": "typescript",
    ".tsx": "tsx",
    ".go": "go",
    ".java": "java",
}

_FALLBACKS = {"javascript": ("tsx",), "typescript": ("tsx",), "tsx": (), "python": (), "go": (), "java": ()}
"""Flow and newer syntax in .js reads as TSX, which is a superset; the engine tries the same."""

_NAME_LIMIT = 80
"""Characters of one part of a scope; a longer one is hostile or generated."""

_SCOPE_LIMIT = 300
"""Characters of a whole scope."""

_CACHED = 16
"""Contents whose trees and definitions are kept: a scanner asks for many lines of one file in a row."""

_DEPTH = 400
"""How deep in the tree definitions are looked for: people stop far earlier, and hostile text must not cost quadratic time."""

_DEFINITIONS = frozenset(
    {
        "function_definition",
        "class_definition",
        "function_declaration",
        "generator_function_declaration",
        "class_declaration",
        "abstract_class_declaration",
        "method_definition",
        "function_expression",
        "generator_function",
        "arrow_function",
        "class",
        "internal_module",
        "method_declaration",
        "constructor_declaration",
        "interface_declaration",
        "enum_declaration",
        "record_declaration",
        "type_spec",
        "func_literal",
        "module",
    }
)
"""Node types of all grammars that enclose lines; the root of a Python tree is a `module` too, but has no name."""

Span = tuple[int, int, str]
"""First line, last line (both 1-based, inclusive) and name of one definition."""


@functools.cache
def _grammar(language: str) -> Language:
    """The compiled grammar of one of our languages."""
    if language == "python":
        return Language(tree_sitter_python.language())
    if language == "go":
        return Language(tree_sitter_go.language())
    if language == "java":
        return Language(tree_sitter_java.language())
    if language == "javascript":
        return Language(tree_sitter_javascript.language())
    if language == "typescript":
        return Language(tree_sitter_typescript.language_typescript())
    return Language(tree_sitter_typescript.language_tsx())


def language_of(path: str) -> str | None:
    """The language of a program by the file's extension (`tsx` is one), `workflow` or `dockerfile` by the file's name; else None."""
    return _LANGUAGES.get(PurePosixPath(path).suffix.lower()) or format_of(path)


def has_statements(path: str) -> bool:
    """True for a program, of which we know a tree; false for every other file, also for one that we can check."""
    return language_of(path) in _FALLBACKS


def parses(path: str, content: bytes) -> bool | None:
    """Whether `content` is a program of the language that its name says.

    Python is asked first of our own interpreter; what that refuses may still be a newer grammar than ours, so tree-sitter is heard
    too. An empty file is a program.

    Returns:
        None when the language is unknown to us, so that nothing can be said.
    """
    language = language_of(path)
    if language is None:
        return None
    if not has_statements(path):
        return well_formed(language, content)
    if language == "python" and _interpreter_parses(content):
        return True
    root = _tree(language, content).root_node
    return not root.has_error or all(map(_is_typed_tag, _broken(root)))


def syntax_tree(path: str, content: bytes) -> Tree | None:
    """The whole tree of a file, for those who must look at statements. Offsets are bytes of `content` where it is UTF-8.

    Returns:
        None when the language is unknown to us or has no statements. A tree with `root_node.has_error` where it does not parse.
    """
    language = language_of(path)
    return _tree(language, content) if language is not None and has_statements(path) else None


def scope_at(path: str, content: bytes, line: int) -> str:
    """Dotted name of the definitions that enclose a line, outermost first.

    `Users.find` for a method, `create.<inner function>` for nested ones, `app.post:/x` inside a handler that was registered with
    a literal first argument (Express and its likes have no better name). Anonymous functions add nothing.

    Args:
        path: decides the language.
        content: the whole file; may be garbage, then what can be recognised counts.
        line: 1-based.

    Returns:
        `""` at the top of a file, in an unknown language, and beyond its end.
    """
    language = language_of(path)
    if language is None or not has_statements(path):
        return ""
    return ".".join(name for first, last, name in _spans(language, content) if first <= line <= last)[:_SCOPE_LIMIT]


def _broken(node: Node) -> Iterator[Node]:
    """Where the parser had to guess: nodes that it made up, and nodes that it could not make sense of."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if node.is_error or node.is_missing:
            yield node
        elif node.has_error:
            waiting.extend(node.children)


def _is_typed_tag(node: Node) -> bool:
    """Whether a guess stands for nothing wrong: a template whose tag has type arguments, as every styled component has.

    tree-sitter-typescript reads `tag<Name>` before a template, but not `tag<{ a: string }>` (it makes up a `!`), nor `tag<A, B>` (it sets
    the tag aside). Nothing is lost of the rest of the file.
    """
    if node.is_missing:
        before = node.prev_sibling
        return node.type == "!" and before is not None and before.type == "instantiation_expression"
    after = node.next_sibling
    return [child.type for child in node.children] == ["instantiation_expression"] and after is not None and after.type == "template_string"


def _interpreter_parses(content: bytes) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in the scanned file are none of ours
            ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # MemoryError is how CPython's parser reports an expression that is nested too deep, not a lack of memory
        return False
    return True


def _utf8(content: bytes) -> bytes:
    """The same text as UTF-8 with the same lines: legacy encodings must not become syntax errors."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("utf-8", errors="replace").encode("utf-8")
    return content


@functools.lru_cache(maxsize=_CACHED)
def _tree(language: str, content: bytes) -> Tree:
    """The tree of the grammar that fits best: the language's own, or a fallback that reads it without an error."""
    text = _utf8(content)
    own = Parser(_grammar(language)).parse(text)
    if own.root_node.has_error:
        for other in _FALLBACKS[language]:
            tree = Parser(_grammar(other)).parse(text)
            if not tree.root_node.has_error:
                return tree
    return own


@functools.lru_cache(maxsize=_CACHED)
def _spans(language: str, content: bytes) -> tuple[Span, ...]:
    """All named definitions of a file, outer before inner."""
    named = ((node.start_point.row + 1, node.end_point.row + 1, _name(node)) for node in _definitions(_tree(language, content)))
    return tuple(sorted((span for span in named if span[2]), key=lambda span: (span[0], -span[1])))


def _definitions(tree: Tree) -> Iterator[Node]:
    """Every node of the tree that can enclose lines. A walk of our own: queries take quadratic time on long flat garbage."""
    cursor = tree.walk()
    while True:
        node = cursor.node
        if node is not None and node.is_named and node.type in _DEFINITIONS:
            yield node
        if cursor.depth < _DEPTH and cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return


def _text(node: Node | None) -> str:
    """Source of a node on one line, cut; `""` for none."""
    if node is None or node.text is None:
        return ""
    return " ".join(node.text.decode("utf-8", errors="replace").split())[:_NAME_LIMIT].strip("'\"`")


def _name(node: Node) -> str:
    """Its own name, else that of what it is assigned to or registered as."""
    receiver = node.child_by_field_name("receiver")  # Go: a method stands beside its type
    owner = f"{_text(receiver).strip('()').split()[-1].lstrip('*')}." if receiver is not None and receiver.named_child_count else ""
    return owner + (_text(node.child_by_field_name("name")) or _assigned_name(node))


_TARGET_FIELDS = {
    "variable_declarator": "name",
    "assignment_expression": "left",
    "pair": "key",
    "field_definition": "property",
    "public_field_definition": "name",
}


def _assigned_name(node: Node) -> str:
    parent = node.parent
    while parent is not None and parent.type in ("parenthesized_expression", "as_expression", "satisfies_expression", "await_expression"):
        parent = parent.parent
    if parent is None:
        return ""
    field = _TARGET_FIELDS.get(parent.type)
    if field is not None:
        return _text(parent.child_by_field_name(field))
    if parent.type == "arguments" and parent.parent is not None:
        return _registered_name(parent, parent.parent)
    return ""


def _registered_name(arguments: Node, call: Node) -> str:
    """`app.post:/x` for `app.post("/x", handler)`; `""` when the first argument is no literal string."""
    first = next(iter(arguments.named_children), None)
    if first is None or first.type not in ("string", "template_string"):
        return ""
    return f"{_text(call.child_by_field_name('function'))}:{_text(first)}"[:_NAME_LIMIT]
