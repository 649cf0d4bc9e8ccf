"""The alphabet: ids 0..255 are the bytes themselves; special ids start at 256.

No byte sequence can be mistaken for a special id, so any file is valid input: invalid UTF-8, CRLF,
NUL and tabs pass through unchanged.
"""

BYTES = 256
BOS = 256  # begins every document
EOD = 257  # ends every document
FIM_PREFIX = 258
FIM_MIDDLE = 259
FIM_SUFFIX = 260
PAD = 261
# Ids 262 and 263 are reserved. They make VOCAB a multiple of 8, which matrix products prefer.
VOCAB = 264


def to_bytes(ids: list[int]) -> bytes:
    """The bytes that `ids` stand for. Raises ValueError if `ids` contains a special id."""
    return bytes(ids)
