"""Lists of packages: names, versions, comments, and words that are none."""

from pathlib import Path

import pytest

from bytelm.shards import InputError
from data.packages.listed import Wanted, read_list


def listed(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "list.txt"
    path.write_text(text)
    return path


def test_names_are_normal_and_in_order(tmp_path: Path) -> None:
    text = "# all of them\nrich Zope.Interface  # two\n\nclick==8.1.7\nclick==8.1.7 rich\n"
    wanted = [Wanted("click", "8.1.7"), Wanted("rich"), Wanted("zope-interface")]
    assert read_list(listed(tmp_path, text)) == wanted
    assert list(map(str, wanted)) == ["click==8.1.7", "rich", "zope-interface"]


@pytest.mark.parametrize(
    "word",
    ["--index-url=x", "-r", "git+https://a/b", "./here", "a/b", "a>=1", "a==", "a[b]", "a;b", "é"],
)
def test_what_pip_would_take_for_something_else(tmp_path: Path, word: str) -> None:
    with pytest.raises(InputError, match=r"list.txt:2: .* is no package; write NAME or"):
        read_list(listed(tmp_path, f"click\n{word}\n"))


def test_two_versions_of_one_package(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"list.txt:3: a==2, but line 1 says a==1; keep one"):
        read_list(listed(tmp_path, "a==1\nb\nA==2\n"))


def test_lists_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lists no package"):
        read_list(listed(tmp_path, "# none\n"))
    with pytest.raises(InputError, match="No such file"):
        read_list(tmp_path / "nowhere.txt")
    (tmp_path / "latin.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        read_list(tmp_path / "latin.txt")
