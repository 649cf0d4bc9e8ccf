"""Files that a program wrote and that say so near their beginning."""

import re

# A mark stands at the head of a file.
_HEAD_BYTES, _HEAD_LINES = 4096, 40
# Each begins a line, behind signs of a comment: prose about generated files is no mark.
_MARKS = re.compile(
    rb"""^\W*(?:
        @generated\b
      | (?:this|the)\ (?:file|module|code|script)\ (?:is|was|has\ been)[ ]
        (?:auto(?:matically)?[-\ ]?)?generated\b
      | (?:code|file|module)\ (?:auto(?:matically)?[-\ ]?)?generated\ (?:by|from|with|using)\b
      | auto(?:matically)?[-\ ]?generated\ (?:by|from|with|using|code|file)\b
      | auto-?generated(?:\W|$)
      | generated\ by:?\ (?:the\ protocol\ buffer\ compiler|https?://|[\w.-]+\.(?:py|sh|pl|jar)\b)
      | generated\ .{0,80}\bdo\ not\ (?:edit|modify)
      | do\ not\ (?:edit|modify)\W.{0,80}\bgenerated
    )""",
    re.IGNORECASE | re.VERBOSE,
)


def is_generated(content: bytes) -> bool:
    """Whether one of the first lines says that a program wrote the file."""
    return any(_MARKS.match(line) for line in content[:_HEAD_BYTES].splitlines()[:_HEAD_LINES])
