"""Gaps: their prompts, what is left out where they do not fit, and which models may fill them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytelm.alphabet import BOS, FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX
from bytelm.base.errors import InputError, options_written
from bytelm.decode.prompts import Gap, check_infilling, prompt_ids, text_before


def test_a_prompt_is_psm_without_the_middle() -> None:
    gap = Gap(b"\xffp", b"s\x00")
    ids = [BOS, FIM_PREFIX, 0xFF, ord("p"), FIM_SUFFIX, ord("s"), 0, FIM_MIDDLE]
    assert prompt_ids(gap) == ids
    assert prompt_ids(Gap(b"", b"")) == [BOS, FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE]
    assert prompt_ids(b"p") == [BOS, ord("p")]
    assert (text_before(gap), text_before(b"p")) == (b"\xffp", b"p")


@given(st.binary(max_size=40), st.binary(max_size=40), st.integers(-3, 90))
def test_the_outer_ends_are_left_out_evenly(prefix: bytes, suffix: bytes, room: int) -> None:
    gap = Gap(prefix, suffix)
    assert len(prompt_ids(gap)) == len(gap) + 1
    found = gap.within(room)
    assert prefix.endswith(found.prefix)
    assert suffix.startswith(found.suffix)
    # All of the room is used, and no text is lost without need.
    assert len(found) == max(3, min(len(gap), room))
    before, after = len(found.prefix), len(found.suffix)
    if before < len(prefix) and after < len(suffix):
        assert 0 <= before - after <= 1
    else:
        assert before >= min(len(prefix), after)
        assert after >= min(len(suffix), before - 1)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(8, 90), st.integers(1, 90))
def test_a_gap_that_fits_stays_whole_and_another_leaves_room(
    before: int, after: int, context: int, max_bytes: int
) -> None:
    gap = Gap(b"p" * before, b"s" * after)
    found = gap.fitted(context, max_bytes)
    if len(gap) <= context - 2:
        assert found is gap
    else:
        assert len(found) == max(3, context - 1 - min(max_bytes, context // 2))


def test_a_model_that_was_not_trained_so_is_refused() -> None:
    check_infilling(0.01, Path("run"))
    with pytest.raises(InputError, match=r"^run was trained without .* train\.infilling "):
        check_infilling(0.0, Path("run"))
    with (
        options_written("command line"),
        pytest.raises(InputError, match=r"trained with --train\.infilling above 0"),
    ):
        check_infilling(0.0, Path("run"))
