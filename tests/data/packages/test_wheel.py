"""What of a wheel becomes text, and that damaged and strange ones harm nobody."""

import zipfile
from pathlib import Path

import pytest
from wheels import MIT, wheel

from data.packages.fetch import wheels_in
from data.packages.wheel import DAMAGE, Sources


def read(
    folder: Path, limit: int = 1000, most: int | None = None
) -> tuple[dict[str, bytes], Sources]:
    [one] = wheels_in(folder)
    with Sources(one, limit, most) as sources:
        return {found.name: found.content for found in sources.files()}, sources


def test_sources_are_read_and_tests_and_copies_are_counted(tmp_path: Path) -> None:
    names = [
        "a/__init__.py", "a/z.py", "b.py", "a/test_it.py", "a/tests/x.py", "a/conftest.py",
        "a/_vendor/y.py", "a/data.txt",
    ]  # fmt: skip
    wheel(tmp_path, "a", dict.fromkeys(names, "x = 1\n"))
    found, sources = read(tmp_path)
    assert list(found) == ["a/a/__init__.py", "a/a/z.py", "a/b.py"]
    assert sources.rejected == {"test": 3, "vendored copy": 1}
    # The other endings: data.txt, METADATA, WHEEL and RECORD.
    assert sources.passed_over == 4
    assert sources.licence.kind == "permissive"


def test_any_bytes_and_sizes(tmp_path: Path) -> None:
    files = {"a.py": b"\xff\0\r\n", "big.py": b"x" * 1001, "empty.py": b"", "full.py": b"y" * 1000}
    wheel(tmp_path, "a", files)
    found, sources = read(tmp_path)
    assert found == {"a/a.py": b"\xff\0\r\n", "a/full.py": b"y" * 1000}
    assert sources.rejected == {"too large": 1, "empty": 1}
    assert sources.rejected_bytes["too large"] == 1001


def test_a_large_package_gives_a_part(tmp_path: Path) -> None:
    wheel(tmp_path, "a", {f"d/{n}.py": b"v" * 100 for n in range(8)})
    found, sources = read(tmp_path, most=350)
    assert len(found) == 3
    assert sources.rejected == {"large package": 5}
    # Whatever else is in it.
    wheel(tmp_path, "a", {f"d/{n}.py": b"v" * 100 for n in range(8)} | {"other.txt": b"z"})
    assert read(tmp_path, most=350)[0] == found


def test_names_lead_nowhere(tmp_path: Path) -> None:
    """Nothing is unpacked, so a name is only a name."""
    wheel(tmp_path, "a", {"../e.py": "x = 1\n", "/f.py": "y = 1\n"})
    assert set(read(tmp_path)[0]) == {"a/../e.py", "a//f.py"}
    assert [path.name for path in tmp_path.iterdir()] == ["a-1.0-py3-none-any.whl"]


def test_licence_files_are_asked_where_the_metadata_says_nothing(tmp_path: Path) -> None:
    text = "Permission is hereby granted, free of charge, to any person obtaining a copy\n"
    wheel(tmp_path, "a", {"a-1.0.dist-info/licenses/LICENSE.txt": text, "a.py": "x"}, "Summary: a")
    assert read(tmp_path)[1].licence.said == "MIT"
    # The files of copies inside the package are not the package's.
    inner = {"a/b-2.0.dist-info/METADATA": f"Name: b\n{MIT}\n\n", "a.py": "x"}
    wheel(tmp_path, "a", inner, "Summary: a")
    assert read(tmp_path)[1].licence.kind == "unknown"


@pytest.mark.parametrize("content", [b"", b"half a wheel", b"PK\x03\x04" + b"\0" * 100])
def test_what_is_no_zip(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a-1.0-py3-none-any.whl").write_bytes(content)
    with pytest.raises(DAMAGE):
        read(tmp_path)


def test_a_wheel_without_metadata(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("a.py", "x = 1\n")
    with pytest.raises(DAMAGE, match="it has no METADATA"):
        read(tmp_path)


def test_damage_at_any_byte_is_counted_and_hangs_nobody(tmp_path: Path) -> None:
    path = wheel(tmp_path, "a", {f"{n}.py": bytes([65 + n]) * 50 for n in range(4)})
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        for change in (b"\xff", b"\0"):
            path.write_bytes(whole[:at] + change + whole[at + 1 :])
            try:
                found, sources = read(tmp_path)
            except DAMAGE:
                continue
            # A directory of names may have lost some.
            assert len(found) + sources.rejected.total() + sources.passed_over <= 7
            # A name may be damaged. A text is whole.
            assert set(found.values()) <= {bytes([65 + n]) * 50 for n in range(4)}
        path.write_bytes(whole[:at])
        with pytest.raises(DAMAGE):
            read(tmp_path)


def test_a_size_in_a_header_is_not_believed(tmp_path: Path) -> None:
    path = wheel(tmp_path, "a", {"bomb.py": b"z" * 5_000_000})
    # The size in the directory at the end says 5 bytes.
    content = path.read_bytes()
    size = (5_000_000).to_bytes(4, "little")
    assert size in content
    path.write_bytes(content.replace(size, (5).to_bytes(4, "little")))
    found, sources = read(tmp_path)
    assert sum(map(len, found.values())) <= 1000
    assert len(found) + sources.rejected.total() == 1
