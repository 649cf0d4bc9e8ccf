"""The alphabet: ids 0..255 are the bytes themselves, specials lie above them.

No byte sequence can be mistaken for a special, so any file is valid input: invalid UTF-8, CRLF,
NUL and tabs pass through unchanged.
"""

BYTES = 256
BOS = 256  # begins every document
EOD = 257  # ends every document
FIM_PREFIX = 258
FIM_MIDDLE = 259
FIM_SUFFIX = 260
PAD = 261
# Two ids are reserved so that the unembedding's rows are a multiple of 8 (GEMM-friendly).
VOCAB = 264


def to_bytes(ids: list[int]) -> bytes:
    """The bytes of `ids`, which may hold no special."""
    return bytes(ids)
