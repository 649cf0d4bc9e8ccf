"""Replace secrets and e-mail addresses by fillers of the same length.

Only clear shapes are replaced. Letters and digits become `x`, and everything else stays: so quotes,
line ends and the length are those of the file.
"""

import re
from collections import Counter
from collections.abc import Callable

_CHARACTER = re.compile(rb"[A-Za-z0-9]")
_FILLER = b"x"

_EMAIL = re.compile(
    rb"(?<![\w.+%-])[A-Za-z0-9](?:[\w.+%-]{0,62}[\w+-])?@(?:[A-Za-z0-9-]{1,63}\.){1,5}"
    rb"(?:com|org|net|edu|gov|mil|int|info|biz|name|io|dev|ai|app|me|co|eu|us|uk|de|fr|nl|be|ch|at|"
    rb"it|es|pt|pl|cz|sk|hu|ro|se|no|fi|dk|ie|ru|ua|jp|cn|kr|tw|hk|sg|in|au|nz|ca|br|ar|mx|cl|za|il|"
    rb"tr|gr)(?![\w-])",
    re.IGNORECASE,
)
# Names that are kept for examples (RFC 2606), accounts that are nobody's, and code: `a@self.net`.
_NOBODYS = re.compile(
    rb"^(?:git|hg|svn|noreply|no-reply)@|@(?:self|cls|x|y|z|a|b|np|np\.\w+|math)\.|"
    rb"@(?:[\w-]+\.)*(?:example\.(?:com|org|net|edu)|[\w-]+\.(?:test|example|invalid))$",
    re.IGNORECASE,
)
_NAMED = re.compile(
    rb"""(?:key|token|secret|passw(?:or)?d)\w{0,20}["']?\s{0,4}(?::\s{0,4}[a-z]{1,10}\s{0,4}=|[:=])
    \s{0,4}[bru]?["']([A-Za-z0-9+/]{32,}={0,2})["']""",
    re.IGNORECASE | re.VERBOSE,
)
_HEX = re.compile(rb"[0-9a-f]+|[0-9A-F]+")
# What is looked for first: it is found in a tenth of the time.
_LONG_VALUE = re.compile(rb"[A-Za-z0-9+/]{32}")
_DOMAIN = re.compile(rb"@(?<=\w@)[A-Za-z0-9-]+\.")
_SHAPES = {
    "AWS key": (
        re.compile(rb"A(?:KIA|SIA|ROA|IDA)"),
        re.compile(rb"(?<![A-Za-z0-9])((?:AKIA|ASIA|AROA|AIDA)[A-Z2-7]{16})(?![A-Za-z0-9])"),
    ),
    "GitHub token": (
        re.compile(rb"gh[pousr]_|github_pat_"),
        re.compile(
            rb"(?<![A-Za-z0-9])(gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{50,255})"
            rb"(?![A-Za-z0-9])"
        ),
    ),
    "private key": (
        re.compile(rb"PRIVATE KEY"),
        re.compile(
            rb"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
            rb"((?:(?!-----).){16,20000}?)-----END ",
            re.DOTALL,
        ),
    ),
    "JWT": (
        re.compile(rb"eyJ"),
        re.compile(rb"(?<![\w-])(eyJ[\w-]{10,2000}\.eyJ[\w-]{10,5000}\.[\w-]{20,2000})(?![\w-])"),
    ),
}


def _filled(text: bytes) -> bytes:
    return _CHARACTER.sub(_FILLER, text)


def _is_random(value: bytes) -> bool:
    """Whether a value is hex, or base64 with small and capital letters and digits: no words."""
    if _HEX.fullmatch(value):
        return not value.isalpha() and not value.isdigit() and len(set(value)) > 7
    kinds = (rb"[a-z]", rb"[A-Z]", rb"[0-9]")
    return all(re.search(kind, value) for kind in kinds) and len(set(value)) > 15


def replaced(content: bytes) -> tuple[bytes, Counter[str]]:
    """`content` with fillers, of the same length, and how many of each kind were replaced."""
    counts = Counter[str]()

    def filler(kind: str, is_meant: Callable[[bytes], bool]) -> Callable[[re.Match[bytes]], bytes]:
        def fill(found: re.Match[bytes]) -> bytes:
            group = 1 if found.re.groups else 0
            value = found[group]
            start, stop = (place - found.start() for place in found.span(group))
            if not is_meant(value) or _filled(value) == value:
                return found[0]
            counts[kind] += 1
            return found[0][:start] + _filled(value) + found[0][stop:]

        return fill

    for kind, (sign, pattern) in _SHAPES.items():
        if sign.search(content):
            content = pattern.sub(filler(kind, lambda _: True), content)
    if _LONG_VALUE.search(content):
        content = _NAMED.sub(filler("named secret", _is_random), content)
    if _DOMAIN.search(content):
        content = _EMAIL.sub(filler("e-mail address", lambda v: not _NOBODYS.search(v)), content)
    return content, counts
