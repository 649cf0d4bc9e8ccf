"""Our documents as datatrove's: bytes as text, and what our readers add to the metadata.

A text of our readers holds the bytes of its file as UTF-8, and other bytes as surrogates. Metadata
of other readers come from the data, so that nothing in them may name a place.
"""

from datatrove.data import Document

from data.walk import Found

_PART, _ROW = "bytelm_part", "bytelm_row"


def document_of(found: Found, part: int) -> Document:
    """A document that one of our readers read. `part`: its place in the order of all parts."""
    text = found.content.decode("utf-8", "surrogateescape")
    return Document(text=text, id=found.name, metadata={_PART: part, _ROW: found.row})


def content_of(document: Document) -> bytes | str:
    """The bytes of a document, never none of them; or, as a text, why it has none."""
    errors = "strict" if part_of(document) is None else "surrogateescape"
    try:
        return document.text.encode("utf-8", errors) or "empty"
    except UnicodeEncodeError:
        return "not UTF-8"


def set_content(document: Document, content: bytes) -> None:
    """Put other bytes in place of those of a document."""
    document.text = content.decode("utf-8", "surrogateescape")


def part_of(document: Document) -> int | None:
    """The place of a document of our readers in the order of all parts; None for others."""
    part = document.metadata.get(_PART)
    return part if isinstance(part, int) else None


def is_row(document: Document) -> bool:
    """Whether one of our readers read it as a row, whose name says nothing about its language."""
    return document.metadata.get(_ROW) is True
