"""The pages' tables are what their sealed results say."""

import json
import re
import shutil
from pathlib import Path

import pytest
from support import ROOT

from bytelm.toolkit import InputError
from eval.report.readme import BLOCKS, Readme, filled, made_block, marks, with_block
from eval.report.tables import peers

RESULTS = ROOT / "results"
PAGES = ("README.md", "docs/results.md", "docs/evaluation.md")
BEGIN, END = marks("measured")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_agrees_with_the_sealed_results(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert filled(text, RESULTS) == text


def test_every_table_is_on_a_page() -> None:
    text = "".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
    for name in BLOCKS:
        assert marks(name)[0] in text, name


def test_every_sealed_result_is_in_a_table_or_has_a_page_of_its_own() -> None:
    used = {RESULTS / file for _, files in BLOCKS.values() for file in files}
    for path in RESULTS.rglob("*.json"):
        assert path in used or path.with_suffix(".md").exists(), path


def test_a_row_holds_the_figures_of_its_file() -> None:
    """By hand, from results/small/speed.json, gpu/training-time.json and gpu/step-7b.json."""
    xeon = "Intel(R) Xeon(R) Processor (AVX2, AVX-512, AVX-512-BF16, AVX-512-FP16), 2 cores"
    assert f"| {xeon} | 1 | 779 bytes/s | 1.34x | 1.53x | 1.53x | 4.60 |" in made_block(
        "speed", RESULTS
    )
    assert "| 16 | 8 | 6.70 | 53358 | 2.58x | 2.37 to 3.17 | 0.39 | yes | 64 |" in made_block(
        "speed-ranges", RESULTS
    )
    assert "| NVIDIA H200 | 31.9M | `block` | 1.00 | 1.01 | 1.04 | 0.35 |" in made_block(
        "training-heads", RESULTS
    )
    assert (
        "| 16 | 25.18 ms (1.00) | 26.91 ms (1.07) | 27.13 ms (1.08) | 27.48 ms (1.09) |"
        in made_block("steps", RESULTS)
    )
    assert "| micro | 8 of 20 | 40.0% | 21.9% to 61.3% | 0 | 0 |" in made_block("suites", RESULTS)
    assert "| 0.924 | 1.546 | 2.050 |" in made_block("bits", RESULTS)


def test_readme_says_which_build_of_llama_cpp_a_ratio_is_of() -> None:
    """The sealed figures are of the wheel alone, or of both builds."""
    sealed = json.loads((RESULTS / "bench.json").read_text())
    own = next(row for row in sealed["peers"] if row["engine"] == "bytelm")
    assert own["dtype"] == "bfloat16"
    own.pop("ratios", None)
    text = peers(sealed)
    assert f"{own['ratio_to_llamacpp']:.1f} times the bytes a second of its wheel" in text
    assert "No llama.cpp built for the machine itself was measured." in text
    native = {"whole": 3.14, "whole_range": [3, 4], "decoding": 2.31, "decoding_range": [2, 3]}
    own["ratios"] = {"llama.cpp-native": native}
    assert "built for the machine itself: 3.1 times (decoding 2.3)." in peers(sealed)
    native |= {"reading": 17.04, "reading_range": [16, 18]}
    assert "3.1 times (decoding 2.3, reading prompts 17.0)." in peers(sealed)
    assert peers({**sealed, "peers": []}) == "Other programs were not measured."


def test_the_block_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    readme = Readme((page,), RESULTS)
    assert readme.run()["changed"] == [str(page)]
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n```text\ntiny\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert readme.run()["changed"] == []


def test_other_figures_make_another_table(tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(RESULTS, results)
    sealed = results / "small" / "micro.json"
    sealed.write_text(re.sub(r'"passed": 8\b', '"passed": 9', sealed.read_text()))
    assert "| micro | 9 of 20 |" in made_block("suites", results)


def test_wrong_input(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{END} {BEGIN}")
    with pytest.raises(InputError, match=r"page\.md: the page has no mark"):
        Readme((page,), RESULTS).run()
    page.write_text(f"{END}\n{BEGIN}\n")
    with pytest.raises(InputError, match="has no lines"):
        Readme((page,), RESULTS).run()
    assert page.read_text() == f"{END}\n{BEGIN}\n"
    with pytest.raises(InputError, match="has no lines"):
        with_block("text", "speed", "table")
    with pytest.raises(InputError, match="no table 'sped'; the tables are measured, speed"):
        made_block("sped", RESULTS)
    (tmp_path / "tiny.json").write_text('{"x": 1}')
    with pytest.raises(InputError, match=r"tiny\.json: not what its command writes"):
        made_block("measured", tmp_path)
    with pytest.raises(InputError, match="No such file"):
        made_block("sweep", tmp_path)
    with pytest.raises(InputError, match="No such file"):
        Readme((tmp_path / "nowhere.md",), RESULTS).run()


def test_a_figure_stands_beside_the_processor_and_its_vector_units(tmp_path: Path) -> None:
    """Results that are older than the record of the units say that it is not there."""
    assert "AMD EPYC, 2 cores, vector units not recorded" in made_block("training", RESULTS)
    assert made_block("measured", RESULTS).endswith(
        "Measured on Intel(R) Xeon(R) Processor (AVX2, AVX-512, AVX-512-BF16, AVX-512-FP16), "
        "2 cores, torch 2.13.0+cpu."
    )
    results = tmp_path / "results"
    shutil.copytree(RESULTS, results)
    for name in ("tiny", "bench", "small/speed", "training-time"):
        path = results / f"{name}.json"
        figures = json.loads(path.read_text())
        figures["machine"]["vector_units"] = ["AVX2", "AMX-BF16"]
        path.write_text(json.dumps(figures))
    words = {
        "measured": "Measured on Intel(R) Xeon(R) Processor (AVX2, AMX-BF16), 2 cores, torch",
        "bench": "Measured on AMD EPYC (AVX2, AMX-BF16), 2 cores, bfloat16",
        "speed": "| Intel(R) Xeon(R) Processor (AVX2, AMX-BF16), 2 cores | 1 | 779 bytes/s |",
        "speed-ranges": "Measured on Intel(R) Xeon(R) Processor (AVX2, AMX-BF16), 2 cores, torch",
        "training-heads": "| AMD EPYC (AVX2, AMX-BF16), 2 cores | 21.4M |",
        "training": "\nAMD EPYC (AVX2, AMX-BF16), 2 cores, torch",
    }
    for name, text in words.items():
        made = made_block(name, results)
        assert text in made, name
        assert "not recorded" not in made
    # A GPU's figures depend on its processor little.
    assert "not recorded" not in made_block("steps", RESULTS)
