"""The forms of checkpoint.json, config.json and manifest.json, and their reader.

A file that is not of its form is damaged: the reader says which key is wrong. A file of a format
that this version does not know is not damaged. It must be refused, and never be renamed, replaced,
or passed over for an older one.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, PlainValidator

from bytelm.base.errors import InputError
from bytelm.records import Count, Number, R, Record, fitted, parsed

MOST_STEPS = 999_999_999
"""The name of a checkpoint's folder has nine digits."""


class DamagedError(InputError):
    """The file or checkpoint exists, but is not what was written."""


class UnknownFormatError(InputError):
    """The file has a format that this version cannot read, such as that of a newer version."""


def read_form(
    path: Path, kind: type[R], known: str | None = None, remedy: str = ""
) -> dict[str, Any]:
    """Read a JSON file, check it, and return its value.

    `known`: what its key `format` must be; None: it has no such key. `remedy`: what to do about
    damage. Raises DamagedError if the file is not of the form `kind`, UnknownFormatError if it is
    of another format, and OSError if it cannot be read.
    """
    try:
        value = parsed(path.read_bytes())
        # The format first: in a newer one, other keys may be missing.
        name = value.get("format") if isinstance(value, dict) else None
        if known is not None and _is_format(name) and name != known:
            raise UnknownFormatError(
                f"{path} has the format {name!r}, and this version of bytelm reads {known!r}: "
                f"use the version that wrote it{f', or {remedy}' * bool(remedy)}"
            )
        fitted(value, kind)
    except UnknownFormatError:
        raise
    except ValueError as error:
        raise DamagedError(f"{path} is damaged: {error}{f'; {remedy}' * bool(remedy)}") from error
    assert isinstance(value, dict)
    return value


def _is_format(name: object) -> bool:
    return isinstance(name, str | int) and not isinstance(name, bool)


def _plain_name(name: str) -> str:
    if name in ("", ".", "..") or any(mark in name for mark in "/\\\0"):
        raise ValueError("the name of a file in this folder is needed")
    return name


def _seconds(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:
        raise ValueError("a number of seconds is needed")
    return value


def _share(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError("a number from 0 to 1 is needed")
    return value


FileName = Annotated[str, AfterValidator(_plain_name)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Positive = Annotated[int, Field(ge=1)]
Seconds = Annotated[int | float, PlainValidator(_seconds)]
Share = Annotated[int | float, PlainValidator(_share)]


class FileEntry(Record):
    """What checkpoint.json says of one file."""

    bytes: Count
    sha256: Sha256


class CheckpointFile(Record):
    """checkpoint.json."""

    format: str
    step: Annotated[int, Field(ge=0, le=MOST_STEPS)] = 0
    model: dict[str, object]
    """Options of the model; ModelConfig checks them."""
    infilling: Share = 0
    """The share of documents that were rearranged in training."""
    progress: dict[str, object]
    """How far training had come; see TrainingProgress."""
    files: Annotated[dict[FileName, FileEntry], Field(min_length=1)]
    sharded: bool = False


class GuardProgress(Record):
    """The state of the guard against spikes."""

    skipped: Count = 0
    in_a_row: Count = 0
    norms: list[Number] = Field(default_factory=list)


class PendingRow(Record):
    """A row of metrics that is not written yet."""

    step: Count


class TrainingProgress(Record):
    """The key `progress` of a checkpoint that a run can resume from."""

    elapsed_s: Seconds
    optimizer_numbers: dict[str, Number]
    guard: GuardProgress = Field(default_factory=GuardProgress)
    pending: PendingRow | None = None


class ConfigFile(Record):
    """config.json of a run folder."""

    preset: str | None = None
    model: dict[str, object] = Field(default_factory=dict)
    train: dict[str, object] = Field(default_factory=dict)
    data: dict[str, object] = Field(default_factory=dict)
    start: dict[str, object] = Field(default_factory=dict)
    dtype: Literal["float32", "bfloat16"] | None = None


class ShardFiles(Record):
    """The names of a shard's files, by their endings."""

    bin: FileName
    offsets: Annotated[FileName, Field(alias="offsets.npy")]
    names: Annotated[FileName, Field(alias="names.json")]


class ShardHashes(Record):
    """The SHA-256 of a shard's files, by their endings."""

    bin: Sha256
    offsets: Annotated[Sha256, Field(alias="offsets.npy")]
    names: Annotated[Sha256, Field(alias="names.json")]


class ShardEntry(Record):
    """What manifest.json says of one shard."""

    documents: Positive
    bytes: Positive
    files: ShardFiles
    sha256: ShardHashes


class SplitEntry(Record):
    """What manifest.json says of one split."""

    documents: Count
    bytes: Count
    stages: list[Count] | None = None
    shards: list[ShardEntry]


class SplitEntries(Record):
    """The splits of manifest.json."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    train: SplitEntry
    held_out: SplitEntry


class ManifestFile(Record):
    """manifest.json of a shard folder."""

    format: str
    splits: SplitEntries


class SummaryFile(Record):
    """summary.json of a run folder. A key that an older version did not write is null."""

    run: str | None = None
    ended: str | None = None
    steps: Count
    bytes: Count | None = None
    train_s: Number | None = None
    ranks: Count | None = None
    compiled: bool | None = None
    dtype: str | None = None
    parameters: dict[str, Count] | None = None
    flops_per_byte: Number | None = None
    matmul_flops_per_s: Number | None = None
    mfu: Number | None = None
    peak_bytes: Number | None = None
    skipped: Count | None = None
    held_out_bpb: Annotated[list[Number], Field(min_length=1)] | None = None
    infilling_bpb: Annotated[list[Number], Field(min_length=1)] | None = None
    forecast: dict[str, Number] | None = None
    checkpoint: str | None = None
    checkpoint_sha256: Sha256 | None = None
