import gzip
import lzma
import random
import shutil
import subprocess

import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytelm.toolkit import InputError
from eval.measure.compressors import (
    COMPRESSORS,
    brotli_size,
    compress_bits,
    gzip_size,
    xz_size,
    zstd_size,
)

CODE = b"".join(b"def f_%d(x):\n    return x + %d\n\n" % (i, i * i) for i in range(400))
NOISE = random.Random(0).randbytes(5000)
XZ = 9 | lzma.PRESET_EXTREME


@pytest.mark.parametrize("content", [b"", b"x", CODE, NOISE, CODE * 20, b"\0" * 70_000])
def test_sizes_are_those_of_whole_files_in_each_format(content: bytes) -> None:
    assert gzip_size(content) == len(gzip.compress(content, 9))
    assert xz_size(content) == len(lzma.compress(content, preset=XZ))
    packed = pyarrow.Codec("zstd", compression_level=19).compress(content, asbytes=True)
    assert zstd_size(content) == len(packed)
    packed = pyarrow.Codec("brotli", compression_level=11).compress(content, asbytes=True)
    assert brotli_size(content) == len(packed)
    assert pyarrow.Codec("brotli").decompress(packed, len(content), asbytes=True) == content


@pytest.mark.skipif(shutil.which("gzip") is None, reason="no gzip program here")
def test_gzip_agrees_with_the_program() -> None:
    packed = subprocess.run(
        ["gzip", "-9", "-n"], input=CODE, capture_output=True, check=True
    ).stdout
    assert abs(gzip_size(CODE) - len(packed)) <= 0.01 * len(packed)


def test_each_and_together_in_bits_per_byte() -> None:
    documents = [CODE, NOISE, b"x = 1\n"]
    joined, total = b"".join(documents), len(CODE) + len(NOISE) + 6
    found = compress_bits(documents)
    assert list(found) == ["gzip", "zstd", "xz", "brotli"]
    for name, size_of in COMPRESSORS.items():
        assert found[name].each == 8 * sum(map(size_of, documents)) / total
        assert found[name].together == 8 * size_of(joined) / total
    # What the frames cost: a file of a few bytes takes more than it holds.
    assert compress_bits([b"x = 1\n"])["gzip"].each > 16


def test_files_that_are_alike_compress_better_together() -> None:
    for figures in compress_bits([CODE] * 5).values():
        assert figures.together < 0.5 * figures.each


@settings(max_examples=15, deadline=None)
@given(st.lists(st.binary(max_size=200), min_size=1, max_size=4).filter(any))
def test_any_bytes_have_finite_positive_bits(documents: list[bytes]) -> None:
    for figures in compress_bits(documents).values():
        assert figures.each > 0
        assert figures.together > 0


@pytest.mark.parametrize("documents", [[], [b""], [b"", b""]])
def test_nothing_to_compress_is_an_input_error(documents: list[bytes]) -> None:
    with pytest.raises(InputError, match="nothing to compress"):
        compress_bits(documents)
