"""Headers made for C++ when it is compiled, so that nothing is typed in two languages unchecked.

`alphabet.h` holds the ids of `bytelm.alphabet`. `layouts.h` holds one `static_assert` for the size
of each struct and the place of each field that Python's `ctypes.Structure` of the same name has: if
one side gains, loses, renames or moves a field alone, the code does not compile.
"""

import ctypes

from bytelm import alphabet

Struct = type[ctypes.Structure]

IDS = ("BYTES", "BOS", "EOD", "PAD", "VOCAB")


def generated_headers(structs: tuple[Struct, ...]) -> dict[str, str]:
    """The text of each header by its name."""
    return {"alphabet.h": _alphabet(), "layouts.h": "".join(map(_layout, structs))}


def _alphabet() -> str:
    lines = [f"static constexpr int64_t {name} = {getattr(alphabet, name)};" for name in IDS]
    return "\n".join(["#pragma once", "#include <cstdint>", *lines, ""])


def _layout(struct: Struct) -> str:
    """Checks of one struct. The header that defines it comes before `layouts.h`."""
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
