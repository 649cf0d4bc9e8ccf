"""The share of a Python file that is tables of literals, by its syntax tree.

A codec's decoding table or a list of digests is data, not code. A model learns nothing useful from
it, and its loss on such text says little. The tree is walked with a cursor, one node at a time, so
that deep nesting cannot overflow the stack.
"""

from tree_sitter import Node

from data.steps.python_tree import python_tree

# Strings of fewer bytes count as code.
LONG_STRING_BYTES = 400
# Collections of fewer items count as code.
MANY_LITERALS = 40

_COLLECTIONS = {"list", "tuple", "set", "dictionary", "argument_list", "parenthesized_expression"}
_LITERALS = {"string", "integer", "float", "concatenated_string", "none", "true", "false"}


def literal_share(content: bytes, beyond: float = 0.0) -> float:
    """The share (0 to 1) of the bytes in long strings or in collections of many literals.

    Docstrings and other strings that are statements count as prose, not as literals. If the share
    is `beyond` or less, the walk ends as soon as that is known. Then the result is a share that is
    `beyond` or less, too.
    """
    cursor = python_tree(content).walk()
    covered, total = 0, max(1, len(content))
    while True:
        node = cursor.node
        assert node is not None
        # Most nodes are too small to be a table or to hold one.
        if node.end_byte - node.start_byte >= MANY_LITERALS:
            size = _table_bytes(node)
            covered += size
            # The nodes inside a table are already counted with it.
            if size == 0 and cursor.goto_first_child():
                continue
        # Even if all the rest were tables.
        if covered + len(content) - node.end_byte <= beyond * total:
            return covered / total
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return covered / total


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
    """Whether a node is a literal, a signed one, a pair, or a small collection of literals."""
    if node.type in _LITERALS or node.type == "comment":
        return True
    if node.type in ("pair", "tuple", "list", "unary_operator"):
        children = node.named_children
        return len(children) <= 8 and all(child.type in _LITERALS for child in children)
    return False
