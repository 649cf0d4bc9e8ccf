"""The syntax tree of a Python file. Two steps look at the same file's, one after the other."""

import tree_sitter_python
from tree_sitter import Language, Parser, Tree

_PARSER = Parser(Language(tree_sitter_python.language()))
_last: tuple[bytes, Tree] | None = None


def python_tree(content: bytes) -> Tree:
    """The tree of `content`, which may be any bytes. The last one is kept.

    Time and memory grow with the size: up to a second and 350 MB for each million bytes.
    """
    global _last
    if _last is None or _last[0] != content:
        # Before the next is made: two trees may not fit where one does.
        _last = None
        _last = content, _PARSER.parse(content)
    return _last[1]
