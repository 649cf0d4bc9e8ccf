"""How much of a Python file is tables of literals, by its syntax tree.

A codec's decoding table or a list of digests is data, not code: a model learns nothing of use from
it, and as held-out text it says nothing of a model. The tree is walked with a cursor, one node at
a time, so that no depth of nesting exhausts a stack.
"""

import tree_sitter_python
from tree_sitter import Language, Node, Parser

# A string of fewer bytes is a word among code, wherever it stands.
LONG_STRING_BYTES = 400
# A collection of fewer literals is an ordinary constant.
MANY_LITERALS = 40

_PARSER = Parser(Language(tree_sitter_python.language()))
_COLLECTIONS = {"list", "tuple", "set", "dictionary", "argument_list", "parenthesized_expression"}
_LITERALS = {"string", "integer", "float", "concatenated_string", "none", "true", "false"}


def literal_share(content: bytes) -> float:
    """The share of the bytes that lie in long strings or in collections of many literals.

    Docstrings and other strings that stand as statements are prose, and do not count.
    """
    cursor = _PARSER.parse(content).walk()
    covered = 0
    while True:
        node = cursor.node
        assert node is not None
        size = _table_bytes(node)
        covered += size
        # A table's own parts are counted with it.
        if size == 0 and cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return covered / max(1, len(content))


def _table_bytes(node: Node) -> int:
    size = node.end_byte - node.start_byte
    if node.type in ("string", "concatenated_string"):
        parent = node.parent
        prose = parent is not None and parent.type == "expression_statement"
        return 0 if prose or size < LONG_STRING_BYTES else size
    if node.type not in _COLLECTIONS or node.named_child_count < MANY_LITERALS:
        return 0
    literals = sum(_is_literal(child) for child in node.named_children)
    return size if literals >= 0.9 * node.named_child_count else 0


def _is_literal(node: Node) -> bool:
    """A literal, one with a sign, a pair of them, or a small collection of them."""
    if node.type in _LITERALS or node.type == "comment":
        return True
    if node.type in ("pair", "tuple", "list", "unary_operator"):
        children = node.named_children
        return len(children) <= 8 and all(child.type in _LITERALS for child in children)
    return False
