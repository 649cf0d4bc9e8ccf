"""Functions of one line: constants, arithmetic, and one thing done to a list, a text or a mapping.

Each row of the tables is a key, the type of the result, what follows "Return", and equal bodies.
Of several wordings, which `|` parts, one is drawn.
"""

from collections.abc import Iterator

from data.exercises.grammar.scalar import Scalar
from data.exercises.grammar.sources import NUMBERS, TEXT, WORDS

Row = tuple[str, str, str, tuple[str, ...]]
Names = tuple[str, ...]

_COUNTED = {2: "twice", 3: "three times", 4: "four times", 5: "five times", 10: "ten times"}
_PLACES = {"first": 0, "second": 1, "third": 2, "fourth": 3}
_N = ("n", "x", "number", "value")
_A, _B = ("a", "x", "left", "m"), ("b", "y", "right", "n")
_EMPTY = (
    ("string", "''", "str"), ("tuple", "()", "tuple"), ("set", "set()", "set"),
    ("list", "[]", "list"), ("dictionary", "{{}}", "dict"),
)  # fmt: skip
_ITEM = ("item", "x", "value", "element")
_KEY, _MAP = ("key", "name", "word"), ("mapping", "d", "table", "scores")


def _scalars(
    family: str, types: tuple[str, ...], names: tuple[Names, ...], rows: Iterator[Row]
) -> Iterator[Scalar]:
    for key, hint, says, bodies in rows:
        yield Scalar(key, family, 1, types, names, hint, tuple(says.split("|")), bodies)


def _constants() -> Iterator[Row]:
    for c in (*range(-3, 31), 42, 50, 64, 99, 100, 255, 365, 1000):
        yield f"number {c}", "int", f"{c}|the number {c}", (f"return {c}",)
    for name, value, hint in (
        ("true", "True", "bool"), ("false", "False", "bool"), ("none", "None", "object"),
    ):  # fmt: skip
        yield f"always {name}", hint, f"{value}|always {value}", (f"return {value}",)
    for word in ("yes", "no", "hello", "ok", "red", "blue", "start", "stop", "name", "error"):
        yield f"word {word}", "str", f"the word '{word}'|'{word}'", (f"return '{word}'",)
    for name, value, hint in _EMPTY:
        yield f"empty {name}", hint, f"an empty {name}|a new, empty {name}", (f"return {value}",)
    for c in range(1, 7):
        yield (f"list of {c}", "list", f"a list that holds only {c}|a list with the number {c}",
               (f"return [{c}]",))  # fmt: skip
        yield (f"tuple of {c}", "tuple", f"a tuple of {c} and {c + 1}", (f"return ({c}, {c + 1})",))
        yield (
            f"map of {c}",
            "dict",
            f"a dictionary that maps 'a' to {c}",
            (f"return {{{{'a': {c}}}}}",),
        )
    for name, value, _ in _EMPTY:
        yield (
            f"list of {name}",
            "list",
            f"a list that holds an empty {name}",
            (f"return [{value}]",),
        )
        for other, beside, _ in _EMPTY:
            yield (f"{name} {other}", "tuple", f"a tuple of an empty {name} and an empty {other}",
                   (f"return ({value}, {beside})",))  # fmt: skip


def _numbers() -> Iterator[Row]:
    for c, word in _COUNTED.items():
        yield f"{word} n", "int", f"{word} the number|{word} {{a}}", (
            f"return {{a}} * {c}", f"return {c} * {{a}}",
        )  # fmt: skip
    for c in range(2, 13):
        yield f"n times {c}", "int", f"{{a}} times {c}", (f"return {{a}} * {c}",)
        yield f"n plus {c}", "int", f"{{a}} plus {c}", (f"return {{a}} + {c}",)
        yield f"n minus {c}", "int", f"{{a}} minus {c}", (f"return {{a}} - {c}",)
        yield (f"n by {c}", "int", f"the number divided by {c}, rounded down",
               (f"return {{a}} // {c}",))  # fmt: skip
        yield (f"n rest {c}", "int", f"the remainder of {{a}} divided by {c}",
               (f"return {{a}} % {c}",))  # fmt: skip
        yield (
            f"n is {c}",
            "bool",
            f"whether the number is {c}|whether {{a}} is equal to {c}",
            (f"return {{a}} == {c}",),
        )
    yield from (
        ("square n", "int", "the square of the number|{a} squared",
         ("return {a} * {a}", "return {a} ** 2")),
        ("cube n", "int", "the cube of the number", ("return {a} ** 3",)),
        ("absolute n", "int", "the absolute value of the number|the number without its sign",
         ("return abs({a})", "return {a} if {a} >= 0 else -{a}")),
        ("negative n", "int", "the negative of the number", ("return -{a}",)),
        ("next n", "int", "the number after {a}|the next whole number", ("return {a} + 1",)),
        ("previous n", "int", "the number before {a}", ("return {a} - 1",)),
        ("half n", "int", "half of the number, rounded down", ("return {a} // 2",)),
        ("is even", "bool", "True if {a} is even, False otherwise", ("return {a} % 2 == 0",)),
        ("is odd", "bool", "True if {a} is odd, False otherwise", ("return {a} % 2 == 1",)),
        ("is positive", "bool", "True if {a} is positive, False otherwise", ("return {a} > 0",)),
        ("is negative", "bool", "True if {a} is negative, False otherwise", ("return {a} < 0",)),
        ("is zero", "bool", "whether the number is zero|True if {a} is zero, False otherwise",
         ("return {a} == 0",)),
        ("itself", "int", "the number itself|the argument", ("return {a}",)),
        ("as text", "str", "the number as a string|{a} as a string", ("return str({a})",)),
        ("text and sign", "str", "the number as a string, with '!' after it",
         ("return str({a}) + '!'",)),
        ("twice as text", "str", "the double of the number, as a string", ("return str({a} * 2)",)),
        ("digits", "int", "the length of the number as a string", ("return len(str({a}))",)),
        ("as a float", "float", "the number as a float", ("return float({a})",)),
        ("in list", "list", "a list that holds only {a}", ("return [{a}]",)),
        ("doubled tuple", "tuple", "a tuple of {a} and its square", ("return ({a}, {a} * {a})",)),
    )  # fmt: skip


def _pairs() -> Iterator[Row]:
    yield from (
        ("difference", "int", "the difference of {a} and {b}|{a} minus {b}", ("return {a} - {b}",)),
        ("product", "int", "the product of {a} and {b}", ("return {a} * {b}",)),
        ("sum of two", "int", "the sum of {a} and {b}|{a} plus {b}", ("return {a} + {b}",)),
        ("sum of squares", "int", "the sum of the squares of {a} and {b}",
         ("return {a} ** 2 + {b} ** 2", "return {a} * {a} + {b} * {b}")),
        ("twice and", "int", "twice {a} plus {b}", ("return 2 * {a} + {b}",)),
        ("half way", "int", "the average of {a} and {b}, rounded down",
         ("return ({a} + {b}) // 2",)),
        ("is larger", "bool", "whether {a} is greater than {b}", ("return {a} > {b}",)),
        ("is smaller", "bool", "whether {a} is less than {b}", ("return {a} < {b}",)),
        ("are equal", "bool", "whether {a} and {b} are equal|whether {a} is equal to {b}",
         ("return {a} == {b}",)),
        ("are different", "bool", "whether {a} and {b} are different|whether {a} is not equal "
         "to {b}", ("return {a} != {b}",)),
        ("as list", "list", "a list of {a} and {b}", ("return [{a}, {b}]",)),
        ("as tuple", "tuple", "a tuple of {a} and {b}", ("return ({a}, {b})", "return {a}, {b}")),
        ("sum positive", "bool", "whether the sum of {a} and {b} is positive",
         ("return {a} + {b} > 0",)),
        ("sum as text", "str", "the sum of {a} and {b} as a string", ("return str({a} + {b})",)),
        ("none of two", "bool", "whether {a} and {b} are both zero",
         ("return {a} == 0 and {b} == 0",)),
        ("first of two", "int", "the first argument", ("return {a}",)),
        ("second of two", "int", "the second argument", ("return {b}",)),
    )  # fmt: skip


def _lists() -> Iterator[Row]:
    for word, place in _PLACES.items():
        yield (
            f"{word} element",
            "object",
            f"the {word} element of the list",
            (f"return {{a}}[{place}]",),
        )
        yield (f"{word} and last", "tuple", f"a tuple of the {word} and the last element of the "
               "list", (f"return ({{a}}[{place}], {{a}}[-1])",))  # fmt: skip
    for c in range(1, 5):
        yield (f"head {c}", "list", f"a list of the first {c} elements", (f"return {{a}}[:{c}]",))
        yield (f"tail {c}", "list", f"a list of the last {c} elements", (f"return {{a}}[-{c}:]",))
        yield (f"size over {c}", "bool", f"whether the list has more than {c} elements",
               (f"return len({{a}}) > {c}",))  # fmt: skip
        yield (f"size is {c}", "bool", f"whether the list has exactly {c} elements",
               (f"return len({{a}}) == {c}",))  # fmt: skip
        yield (f"size plus {c}", "int", f"the length of the list plus {c}",
               (f"return len({{a}}) + {c}",))  # fmt: skip
        yield (
            f"with {c}",
            "list",
            f"the list with {c} after its elements",
            (f"return {{a}} + [{c}]",),
        )
    yield from (
        ("last element", "object", "the last element of the list", ("return {a}[-1]",)),
        ("last but one", "object", "the last but one element of the list", ("return {a}[-2]",)),
        ("length", "int", "the length of the list|the number of elements of the list",
         ("return len({a})",)),
        ("twice length", "int", "twice the length of the list", ("return 2 * len({a})",)),
        ("is filled", "bool", "True if the list is not empty, False otherwise|whether the list "
         "has any elements", ("return len({a}) > 0", "return bool({a})")),
        ("without first", "list", "the list without its first element", ("return {a}[1:]",)),
        ("without last", "list", "the list without its last element", ("return {a}[:-1]",)),
        ("reversed", "list", "the list in reverse order|the elements of the list in reverse order",
         ("return {a}[::-1]", "return list(reversed({a}))")),
        ("ends equal", "bool", "whether the first and the last element of the list are equal",
         ("return {a}[0] == {a}[-1]",)),
        ("ends added", "int", "the sum of the first and the last element",
         ("return {a}[0] + {a}[-1]",)),
        ("twice the list", "list", "the list two times in a row|the list repeated twice",
         ("return {a} * 2", "return {a} + {a}")),
        ("copy", "list", "a copy of the list", ("return list({a})", "return {a}[:]")),
        ("as a tuple", "tuple", "the list as a tuple", ("return tuple({a})",)),
        ("list as text", "str", "the list as a string", ("return str({a})",)),
        ("length as text", "str", "the length of the list as a string", ("return str(len({a}))",)),
        ("list and length", "tuple", "a tuple of the list and its length",
         ("return ({a}, len({a}))",)),
        ("least", "int", "the smallest element of the list", ("return min({a})",)),
        ("greatest", "int", "the largest element of the list", ("return max({a})",)),
        ("of all", "int", "the sum of the elements of the list", ("return sum({a})",)),
    )  # fmt: skip


def _members() -> Iterator[Row]:
    yield from (
        ("appended", "list", "a new list with {b} after the elements of {a}",
         ("return {a} + [{b}]", "return [*{a}, {b}]")),
        ("in front", "list", "a new list with {b} before the elements of {a}",
         ("return [{b}] + {a}", "return [{b}, *{a}]")),
        ("contains", "bool", "whether {b} is in the list|True if {b} is in the list, False "
         "otherwise", ("return {b} in {a}",)),
        ("lacks", "bool", "whether {b} is not in the list", ("return {b} not in {a}",)),
        ("times in list", "int", "how often {b} is in the list|the number of times that {b} "
         "occurs in {a}", ("return {a}.count({b})", "return sum(y == {b} for y in {a})")),
        ("removed", "list", "the list without the elements that are equal to {b}",
         ("return [y for y in {a} if y != {b}]",)),
        ("all plus", "list", "the list with {b} added to each element",
         ("return [y + {b} for y in {a}]",)),
        ("all times", "list", "the list with each element multiplied by {b}",
         ("return [y * {b} for y in {a}]",)),
        ("above", "list", "the elements of the list that are greater than {b}",
         ("return [y for y in {a} if y > {b}]",)),
        ("any above", "bool", "whether any element of the list is greater than {b}",
         ("return any(y > {b} for y in {a})",)),
        ("sum and", "int", "the sum of the list plus {b}", ("return sum({a}) + {b}",)),
    )  # fmt: skip


def _texts() -> Iterator[Row]:
    for word, place in (*_PLACES.items(), ("last", -1)):
        yield (
            f"{word} character",
            "str",
            f"the {word} character of the text",
            (f"return {{a}}[{place}]",),
        )
    for c in range(2, 6):
        yield (f"text times {c}", "str", f"the text repeated {c} times", (f"return {{a}} * {c}",))
        yield (
            f"text head {c}",
            "str",
            f"the first {c} characters of the text",
            (f"return {{a}}[:{c}]",),
        )
        yield (f"text over {c}", "bool", f"whether the text has more than {c} characters",
               (f"return len({{a}}) > {c}",))  # fmt: skip
    for sign in "!?.;":
        yield (f"text and {sign}", "str", f"the text with '{sign}' after it",
               (f"return {{a}} + '{sign}'",))  # fmt: skip
        yield (f"{sign} and text", "str", f"the text with '{sign}' before it",
               (f"return '{sign}' + {{a}}",))  # fmt: skip
    for sign, name in (("-", "dash"), ("_", "underscore"), ("", "nothing")):
        yield (f"spaces to {name}", "str", f"the text with each space replaced by '{sign}'",
               (f"return {{a}}.replace(' ', '{sign}')",))  # fmt: skip
    for letter in "aeiostn":
        yield (f"number of {letter}", "int", f"how often the letter {letter} is in the text",
               (f"return {{a}}.count('{letter}')",))  # fmt: skip
        yield (f"holds {letter}", "bool", f"whether the letter {letter} is in the text",
               (f"return '{letter}' in {{a}}",))  # fmt: skip
        yield (f"begins {letter}", "bool", f"whether the text starts with '{letter}'",
               (f"return {{a}}.startswith('{letter}')",))  # fmt: skip
    yield from (
        ("lower case", "str", "the text in lower case|the text in lowercase letters",
         ("return {a}.lower()",)),
        ("upper case", "str", "the text in upper case|the text in uppercase letters",
         ("return {a}.upper()",)),
        ("title case", "str", "the text in title case", ("return {a}.title()",)),
        ("swapped case", "str", "the text with upper and lower case swapped",
         ("return {a}.swapcase()",)),
        ("capitalized", "str", "the text with a capital first letter and small letters after it",
         ("return {a}.capitalize()",)),
        ("backwards", "str", "the text backwards|the text in reverse order",
         ("return {a}[::-1]", "return ''.join(reversed({a}))")),
        ("text length", "int", "the length of the text|the number of characters of the text",
         ("return len({a})",)),
        ("text empty", "bool", "whether the text is empty|True if the text is empty, False "
         "otherwise", ("return {a} == ''", "return len({a}) == 0")),
        ("its characters", "list", "the list of the characters of the text",
         ("return list({a})",)),
        ("without last character", "str", "the text without its last character",
         ("return {a}[:-1]",)),
        ("without first character", "str", "the text without its first character",
         ("return {a}[1:]",)),
    )  # fmt: skip


def _text_parts() -> Iterator[Row]:
    yield from (
        ("with newline", "str", "the text with a newline after it", ("return {a} + '\\n'",)),
        ("in two lines", "str", "the text twice with a newline between them",
         ("return {a} + '\\n' + {a}",)),
        ("its lines", "list", "the list of the lines of the text", ("return {a}.split('\\n')",)),
        ("its words", "list", "the list of the words of the text", ("return {a}.split()",)),
        ("word count", "int", "the number of words of the text", ("return len({a}.split())",)),
        ("first word", "str", "the first word of the text", ("return {a}.split()[0]",)),
        ("last word", "str", "the last word of the text", ("return {a}.split()[-1]",)),
    )  # fmt: skip


def _words() -> Iterator[Row]:
    for sign, name in (
        (" ", "a space"), (", ", "a comma and a space"), ("-", "a dash"), ("/", "a slash"),
        (":", "a colon"), ("+", "a plus sign"), (";", "a semicolon"), ("|", "a bar"),
    ):  # fmt: skip
        says = f"the words joined with {name}" + (" between them" if name != "a bar" else "")
        yield f"with {name} between", "str", says, (f"return '{sign}'.join({{a}})",)


def _two_texts() -> Iterator[Row]:
    for sign, name in (("", ""), (" ", "a space"), ("-", "a dash"), (", ", "a comma and a space")):
        says = f"{{a}} and {{b}} with {name} between them" if name else "{a} followed by {b}"
        code = f"return {{a}} + '{sign}' + {{b}}" if name else "return {a} + {b}"
        yield f"texts {name}", "str", says, (code, f"return f'{{{{{{a}}}}}}{sign}{{{{{{b}}}}}}'")
    yield from (
        ("texts equal", "bool", "whether {a} and {b} are equal", ("return {a} == {b}",)),
        ("one in other", "bool", "whether {b} is a part of {a}|whether {a} contains {b}",
         ("return {b} in {a}",)),
        ("starts with other", "bool", "whether {a} starts with {b}",
         ("return {a}.startswith({b})",)),
        ("ends with other", "bool", "whether {a} ends with {b}", ("return {a}.endswith({b})",)),
        ("lengths added", "int", "the sum of the lengths of {a} and {b}",
         ("return len({a}) + len({b})",)),
        ("is longer", "bool", "whether {a} is longer than {b}", ("return len({a}) > len({b})",)),
        ("text list", "list", "a list of {a} and {b}", ("return [{a}, {b}]",)),
    )  # fmt: skip


def _mappings() -> Iterator[Row]:
    for default in ("0", "1", "-1", "None"):
        yield (
            f"value or {default}",
            "object",
            f"the value of {{b}} in the dictionary, or {default} if it is not there",
            (f"return {{a}}.get({{b}}, {default})",),
        )
    yield from (
        ("has key", "bool", "whether the key is in the dictionary|True if {b} is a key of {a}, "
         "False otherwise", ("return {b} in {a}",)),
        ("lacks key", "bool", "whether the key is not in the dictionary",
         ("return {b} not in {a}",)),
        ("without key", "dict", "the dictionary without the key {b}",
         ("return {{k: v for k, v in {a}.items() if k != {b}}}",)),
        ("with zero", "dict", "a copy of the dictionary in which {b} has the value 0",
         ("return {{**{a}, {b}: 0}}",)),
    )  # fmt: skip


def _maybe() -> Iterator[Row]:
    for c in range(4):
        yield (
            f"or {c}",
            "int",
            f"the value, or {c} if it is None",
            (
                f"return {c} if {{a}} is None else {{a}}",
                f"if {{a}} is None:\n    return {c}\nreturn {{a}}",
            ),
        )
    yield from (
        ("is given", "bool", "whether the value is not None|True if {a} is not None, False "
         "otherwise", ("return {a} is not None",)),
        ("is missing", "bool", "whether the value is None", ("return {a} is None",)),
    )  # fmt: skip


SMALL: tuple[Scalar, ...] = (
    *_scalars("constants", (), (), _constants()),
    *_scalars("one number", ("int",), (_N,), _numbers()),
    *_scalars("two numbers", ("int", "int"), (_A, _B), _pairs()),
    *_scalars("one list", ("filled",), (NUMBERS,), _lists()),
    *_scalars("a list and a number", ("filled", "int"), (NUMBERS, _ITEM), _members()),
    *_scalars("one text", ("phrase",), (TEXT,), _texts()),
    *_scalars("one text", ("phrase",), (TEXT,), _text_parts()),
    *_scalars("words together", ("list[str]",), (WORDS,), _words()),
    *_scalars("two texts", ("word", "word"), (("a", "text", "first"), ("b", "other", "ending")),
              _two_texts()),
    *_scalars("a mapping and a key", ("dict[str, int]", "word"), (_MAP, _KEY), _mappings()),
    *_scalars("a value or None", ("int | None",), (("value", "x", "v"),), _maybe()),
)  # fmt: skip
