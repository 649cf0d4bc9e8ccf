"""Bits per byte of any files, on one rank and on two."""

import json
from pathlib import Path

import pytest
from support import ROOT, eval_command, one_line, torchrun

from bytelm.toolkit import InputError, Split, load_checkpoint, score_documents
from eval.measure.bits import Document, measure_bits, read_documents


@pytest.mark.medium
def test_bits_of_files_folders_and_shards(
    run_folder: Path, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder" / "sub").mkdir(parents=True)
    one, two = tmp_path / "one.py", tmp_path / "folder" / "sub" / "two.bin"
    one.write_bytes(b"import os\n" * 20)
    two.write_bytes(bytes(range(256)))
    (tmp_path / "folder" / "empty").touch()
    arguments = ["--checkpoint", str(run_folder), "--out", str(tmp_path / "bits.json")]
    status, figures, _ = eval_command(
        capsys, "bits", *arguments, str(one), str(tmp_path / "folder")
    )
    assert status == 0
    model = load_checkpoint(run_folder).model
    expected = score_documents(model, [one.read_bytes(), two.read_bytes()])
    assert figures["heads_bpb"] == pytest.approx(expected.heads_bpb())
    assert (figures["bytes"], figures["documents"]) == (456, 2)
    assert set(figures["compressors"]) == {"gzip", "zstd", "xz", "brotli"}
    written = json.loads((tmp_path / "bits.json").read_text())
    assert [row["name"] for row in written["files"]] == [str(one), str(two)]
    assert written["files"][0]["heads_bpb"] == pytest.approx(expected.document_bpb(0))

    status, figures, _ = eval_command(capsys, "bits", *arguments, "--no-compressors", str(shards))
    assert status == 0
    assert figures["bytes"] == Split(shards, "held_out").bytes
    assert "compressors" not in figures


def test_bits_without_a_command_line(run_folder: Path) -> None:
    model = load_checkpoint(run_folder).model
    documents = [Document("a", b"import os\n" * 9), Document("b", b"\x00\xff")]
    result = measure_bits(model, documents, compressors=False)
    assert result is not None
    expected = score_documents(model, [document.content for document in documents])
    assert result.heads_bpb == expected.heads_bpb()
    assert result.files is not None
    assert [(file.name, file.bytes) for file in result.files] == [("a", 90), ("b", 2)]
    assert result.compressors is None


@pytest.mark.slow
def test_bits_on_two_ranks(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same to the last bits of a float32, on which a guess at a tie may depend."""
    paths = [str(ROOT / "bytelm" / "model"), str(ROOT / "bytelm" / "config.py")]
    base = ["bits", "--checkpoint", str(run_folder), *paths]
    status, one, _ = eval_command(capsys, *base, "--out", str(tmp_path / "one.json"))
    done = torchrun("-m", "eval", *base, "--out", str(tmp_path / "two.json"))
    assert (status, done.returncode) == (0, 0), done.stderr
    two = json.loads(done.stdout)
    assert two["heads_bpb"] == pytest.approx(one["heads_bpb"], rel=1e-6)
    for name in ("bytes", "documents", "forecast", "forecast_accepted", "compressors"):
        assert two[name] == one[name], name
    files = [
        json.loads((tmp_path / f"{name}.json").read_text())["files"] for name in ("one", "two")
    ]
    assert [row["name"] for row in files[0]] == [row["name"] for row in files[1]]
    for first, second in zip(*files, strict=True):
        assert second["heads_bpb"] == pytest.approx(first["heads_bpb"], rel=1e-5)


@pytest.mark.parametrize("path", ["nowhere", "empty", "folder"])
def test_nothing_to_score(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    status, _, err = eval_command(
        capsys, "bits", "--checkpoint", str(run_folder), str(tmp_path / path)
    )
    assert status == 2
    assert one_line(err)


def test_a_path_that_is_not_there_is_named_with_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent does not exist; give files, folders of files"):
        list(read_documents(tmp_path / "absent"))
