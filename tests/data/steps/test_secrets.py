"""Secrets and addresses become fillers of the same length; code stays as it is."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.steps.secrets import replaced

# Put together here, so that no scanner takes this file for a leak.
AWS = b"AK" + b"IAIOSFODNN7EXAMPLE".replace(b"EXAMPLE", b"QWERTYU")
GITHUB = b"gh" + b"p_" + b"aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hI6"
HEX = b"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
BASE64 = b"wJalrXUtnFEMIK7MDENGbPxRfiCYzzzKEYabcd12"
JWT = (
    b"ey"
    + b"JhbGciOiJIUzI1NiJ9."
    + b"ey"
    + b"JzdWIiOiIxMjM0NTY3ODkwIn0."
    + b"dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"
)
KEY = (
    b"-----BEGIN RSA PRIVATE"
    + b" KEY-----\nMIIEpAIBAAKCAQEA7bq\nZ0aB+/c9==\n-----END RSA PRIVATE KEY-----\n"
)


@pytest.mark.parametrize(
    ("content", "kind", "filled"),
    [
        (b"id = '%s'\n" % AWS, "AWS key", b"id = '" + b"x" * 20 + b"'\n"),
        (b"TOKEN = '%s'" % GITHUB, "GitHub token", b"TOKEN = 'xxx_" + b"x" * 36 + b"'"),
        (b"api_key = '%s'" % HEX, "named secret", b"api_key = '" + b"x" * 64 + b"'"),
        (
            b'{"client_secret": "%s"}' % BASE64,
            "named secret",
            b'{"client_secret": "' + b"x" * 40 + b'"}',
        ),
        (b"password: str = b'%s'" % HEX, "named secret", b"password: str = b'" + b"x" * 64 + b"'"),
        (b"SECRET_KEY='%s'" % BASE64, "named secret", b"SECRET_KEY='" + b"x" * 40 + b"'"),
        (
            b"# by a.person+b@some-where.co.uk\n",
            "e-mail address",
            b"# by x.xxxxxx+x@xxxx-xxxxx.xx.xx\n",
        ),
        (b"'https://joe:pw1@host.com/x'", "e-mail address", b"'https://joe:xxx@xxxx.xxx/x'"),
    ],
)
def test_what_is_replaced(content: bytes, kind: str, filled: bytes) -> None:
    assert replaced(content) == (filled, {kind: 1})


def test_keys_and_tokens_over_several_lines() -> None:
    for content, kind in ((KEY, "private key"), (b"t = '%s'" % JWT, "JWT")):
        filled, counts = replaced(content)
        assert counts == {kind: 1}
        assert len(filled) == len(content)
        assert filled.count(b"\n") == content.count(b"\n")
    assert b"KEY-----\nxxxxxxxxxxxxxxxxxxx\nxxxx+/xx==\n-----END RSA" in replaced(KEY)[0]


@pytest.mark.parametrize(
    "content",
    [
        b"mail = 'user@example.com, other@mail.example.org, a@b.test'",
        b"url = 'git@github.com:a/b.git'",
        b"y = x@self.net + w@z.it\n",
        b"@app.route('/x')\n@pytest.mark.parametrize\ndef f(): ...\n",
        b"key = 'a_long_name_of_a_setting_that_is_no_secret_at_all'",
        b"key = 'AllOfTheseAreWordsAndNotRandomLettersYouSee'",
        b"token = '" + b"0" * 64 + b"'",
        b"digest = '%s'" % HEX,
        b"password = get_password('%s')" % HEX,
        b"-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOC\n-----END PUBLIC KEY-----\n",
        b"AKIA is how they begin: AKIAxxxx",
        b"decorated = a @ b.com\n",
    ],
)
def test_what_is_left_alone(content: bytes) -> None:
    assert replaced(content) == (content, {})


def test_fillers_are_not_replaced_again() -> None:
    content = b"k = '%s' # me@home.org\n" % AWS + KEY + b"token = '%s'\n" % JWT
    once, counts = replaced(content)
    assert sum(counts.values()) == 4
    assert replaced(once) == (once, {})


def test_code_still_parses() -> None:
    content = b"api_key = '%s'\nmail = ['me@home.org']\nkey = '''%s'''\n" % (HEX, KEY)
    filled, _ = replaced(content)
    assert ast.dump(ast.parse(filled)) != ast.dump(ast.parse(content))
    assert len(ast.parse(filled).body) == 3


@given(
    st.lists(
        st.sampled_from(
            [AWS, GITHUB, HEX, JWT, KEY, b"key='", b"'", b"@", b"a.com", b"\xff", b"\n"]
        )
    )
)
def test_lengths_and_line_ends_stay(pieces: list[bytes]) -> None:
    content = b"".join(pieces)
    filled, _ = replaced(content)
    assert len(filled) == len(content)
    assert [at for at, byte in enumerate(filled) if byte == 10] == [
        at for at, byte in enumerate(content) if byte == 10
    ]


@pytest.mark.parametrize(
    "piece", [b"a@", b"a.", b"key=", b"eyJ", b"-----BEGIN PRIVATE KEY-----", b"=", b"a-", b"key: "]
)
def test_long_lines_take_no_time_that_grows_faster(piece: bytes) -> None:
    """It would hang."""
    content = piece * (1_000_000 // len(piece))
    assert len(replaced(content)[0]) == len(content)
