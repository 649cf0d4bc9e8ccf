"""EvalPlus's special cases, as Python text of its tests: how values are compared, what inputs are.

Sources: evalplus 0.3.1: evalplus/eval/__init__.py, eval/_special_oracle.py, data/mbpp.py.
"""

EQUAL = "same = out == expected"
_SETS = "same = set(out) == set(expected)"
# Some values cannot be written to a file. What counts is whether there is one.
_NOT_NONE = """\
expected = expected is not None
same = out == expected if isinstance(out, bool) else expected == (out is not None)"""
_ROOT = """\
value = sum(factor * math.pow(out, power) for power, factor in enumerate(*inputs))
assert abs(value) <= atol, inputs
continue"""
# The shorter number may have zeros before it.
_DIGITS = """\
ones, twos = (str(number) for number in inputs)
size = max(len(ones), len(twos))
pairs = zip(ones.zfill(size), twos.zfill(size))
same = out == expected or out == sum(abs(int(one) - int(two)) for one, two in pairs)"""
# The height may be that of the pyramid, not that of its sides.
_PYRAMID = """\
base, height = inputs
slant = math.sqrt((base / 2) ** 2 + height**2)
same = out == expected or abs(out - round(base**2 + 4 * (base * slant) / 2)) <= atol"""

COMPARE = {
    "HumanEval": {"find_zero": _ROOT},
    "Mbpp": {
        "are_equivalent": "same = True",
        "sum_div": "same = out == expected or out == 0",
        "surface_Area": _PYRAMID,
        "digit_distance_nums": _DIGITS,
        "check_str": _NOT_NONE,
        "text_match_three": _NOT_NONE,
        "text_starta_endb": _NOT_NONE,
        "similar_elements": _SETS,
        "find_char_long": _SETS,
        "common_in_nested_lists": _SETS,
        "extract_singly": _SETS,
        "larg_nnum": _SETS,
        "intersection_array": _SETS,
        "find_dissimilar": _SETS,
        "Diff": _SETS,
    },
}
"""How `out` and `expected` are compared where they need not be equal, by data set and function."""

_AS_TUPLES = (
    (
        "[tuple(one) for one in given]",
        (
            2, 116, 132, 143, 222, 261, 273, 394, 399, 421, 424, 429, 470, 560, 579, 596, 616, 630,
            726, 740, 744, 809,
        ),
    ),
    (
        "[[tuple(two) for two in one] for one in given]",
        (63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780),
    ),
    ("[[tuple(one) for one in given[0]], given[1]]", (75, 413, 444, 753)),
    ("[given[0], tuple(given[1])]", (106, 750)),
    ("[[set(one) if isinstance(one, list) and one else {} for one in given[0]]]", (115,)),
    ("[float(given[0]), complex(given[1])]", (124,)),
    ("[tuple(given[0]), given[1]]", (250, 405, 446, 617, 720, 763, 808)),
    ("[tuple(tuple(two) for two in one) for one in given]", (259, 401, 445)),
    ("[tuple(tuple(one) if isinstance(one, list) else one for one in given[0])]", (278,)),
    ("[tuple(given[0]), given[1], given[2]]", (307,)),
    ("[{key: tuple(one) for key, one in given[0].items()}, *given[1:]]", (722,)),
    ("[complex(given[0])]", (252,)),
    ("all_tuples(given)", (580, 615, 791)),
)  # fmt: skip

ARGUMENTS = {f"Mbpp/{task}": text for text, tasks in _AS_TUPLES for task in tasks}
"""The arguments that JSON has as the list `given`: it holds no tuples, sets and complex numbers."""
