"""What general-purpose compressors make of the same bytes: the bits per byte to beat.

Sizes are those of whole files in each format, with headers and checksums and without a file name.
The frame of gzip costs 18 bytes, that of xz about 60, that of zstd about 10 (the zstd program adds
a checksum of 4), and that of brotli about 4. This is much for a file of a few hundred bytes and
nothing for megabytes. So two figures are given: each file compressed alone, and all files
concatenated.
"""

import gzip
import lzma
from collections.abc import Callable, Sequence

from bytelm.toolkit import (
    InputError,
    progress_bar,
)
from eval.records import CompressorBits

XZ_PRESET = 9 | lzma.PRESET_EXTREME
XZ_DICTIONARY_BYTES = 64 << 20  # preset 9's own
ZSTD_LEVEL = 19
BROTLI_LEVEL = 11


def gzip_size(content: bytes) -> int:
    """Bytes of `content` after gzip -9, without a file name or time."""
    return len(gzip.compress(content, 9, mtime=0))


def xz_size(content: bytes) -> int:
    """Bytes of `content` after xz -9e.

    The dictionary is no larger than the content needs: that changes nothing in the result, but
    clearing 64 MiB of tables for every small file takes longer than compressing it.
    """
    needed = 1 << max(16, (len(content) - 1).bit_length())
    dictionary = min(XZ_DICTIONARY_BYTES, needed)
    chain = [{"id": lzma.FILTER_LZMA2, "preset": XZ_PRESET, "dict_size": dictionary}]
    return len(lzma.compress(content, filters=chain))


def zstd_size(content: bytes) -> int:
    """Bytes of `content` after zstd -19."""
    return _arrow_size(content, "zstd", ZSTD_LEVEL)


def brotli_size(content: bytes) -> int:
    """Bytes of `content` after brotli -q 11, which has a dictionary of words of the web."""
    return _arrow_size(content, "brotli", BROTLI_LEVEL)


def _arrow_size(content: bytes, name: str, level: int) -> int:
    import pyarrow

    return len(pyarrow.Codec(name, compression_level=level).compress(content, asbytes=True))


COMPRESSORS: dict[str, Callable[[bytes], int]] = {
    "gzip": gzip_size,
    "zstd": zstd_size,
    "xz": xz_size,
    "brotli": brotli_size,
}


def compress_bits(documents: Sequence[bytes]) -> dict[str, CompressorBits]:
    """Bits per byte of `documents` under gzip -9, zstd -19, xz -9e and brotli -q 11.

    By the compressor's name (gzip, zstd, xz, brotli): every document compressed alone (the sum of
    the sizes by the sum of the bytes), and all of them concatenated. Raises InputError where there
    is no byte to compress.
    """
    total = sum(len(document) for document in documents)
    if not total:
        raise InputError("nothing to compress: no documents, or only empty ones; give other files")
    joined = b"".join(documents)
    figures: dict[str, CompressorBits] = {}
    with progress_bar(
        total=2 * total * len(COMPRESSORS),
        unit="B",
        unit_scale=True,
        desc="compressors",
        leave=False,
    ) as bar:
        for name, size_of in COMPRESSORS.items():
            alone = 0
            for document in documents:
                alone += size_of(document)
                bar.update(len(document))
            together = size_of(joined)
            bar.update(total)
            figures[name] = CompressorBits(each=8 * alone / total, together=8 * together / total)
    return figures
