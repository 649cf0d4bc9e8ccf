"""Generate C++ headers at compile time, so that definitions in Python and C++ cannot differ.

`alphabet.h` defines the ids of `bytelm.alphabet`. `layouts.h` checks each struct against Python's
`ctypes.Structure` of the same name, with a `static_assert` for its size and for each field's offset
and size. If a field is added, removed, renamed or moved on one side only, the code does not
compile.
"""

import ctypes

from bytelm import alphabet

Struct = type[ctypes.Structure]

IDS = ("BYTES", "BOS", "EOD", "PAD", "VOCAB")


def generated_headers(structs: tuple[Struct, ...]) -> dict[str, str]:
    """The text of each header, by file name."""
    return {"alphabet.h": _alphabet(), "layouts.h": "".join(map(_layout, structs))}


def _alphabet() -> str:
    lines = [f"static constexpr int64_t {name} = {getattr(alphabet, name)};" for name in IDS]
    return "\n".join(["#pragma once", "#include <cstdint>", *lines, ""])


def _layout(struct: Struct) -> str:
    """The checks of one struct. Its definition must be included before `layouts.h`."""
    name = struct.__name__
    lines = ["#include <cstddef>", _check(f"sizeof({name})", ctypes.sizeof(struct), name)]
    for field, *_ in struct._fields_:
        described = getattr(struct, field)
        place = f"offsetof({name}, {field})"
        lines.append(_check(place, described.offset, f"{name}.{field}"))
        size = f"sizeof((({name}*)nullptr)->{field})"
        lines.append(_check(size, described.size, f"{name}.{field}"))
    return "\n".join([*lines, ""])


def _check(found: str, expected: int, what: str) -> str:
    return f'static_assert({found} == {expected}, "{what} is not as Python has it");'
