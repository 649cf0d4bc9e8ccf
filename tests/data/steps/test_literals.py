"""The walk that ends early has the whole walk's answer; the tree of a file is made once."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from data.steps.literals import literal_share
from data.steps.python_tree import python_tree

PIECES = (
    b"def f(x):\n    return x\n",
    b"HASHES = [\n" + b"".join(b"    '%032x',\n" % (n**7) for n in range(50)) + b"]\n",
    b"TEXT = '" + b"a" * 500 + b"'\n",
    b'"""' + b"words " * 100 + b'"""\n',
    b"x = [make(1), (2, 3)]\n",
    b"\n\n  ",
    b"((([",
    b"\xff\x00",
)
documents = st.lists(st.sampled_from(PIECES), max_size=8).map(b"".join)


@settings(deadline=None)
@given(documents, st.floats(0, 1))
@example(b"", 0.0)
@example(PIECES[1], 1.0)
@example(PIECES[0] + PIECES[1], 0.75)
def test_the_short_walk_answers_as_the_whole_one(content: bytes, beyond: float) -> None:
    whole, short = literal_share(content), literal_share(content, beyond)
    assert (short > beyond) == (whole > beyond)
    assert short == whole or short <= whole <= beyond


def test_a_share_that_is_exactly_the_limit_is_not_beyond_it() -> None:
    content = PIECES[0] + PIECES[1]
    share = literal_share(content)
    assert 0 < share < 1
    assert literal_share(content, share) <= share
    assert literal_share(content, share - 1e-9) == share


def test_a_tree_is_made_once_for_steps_that_follow_each_other() -> None:
    content = b"x = 1\n"
    first = python_tree(content)
    assert python_tree(bytes(bytearray(content))) is first
    assert python_tree(b"y = 2\n").root_node.end_byte == 6
    assert python_tree(content) is not first
