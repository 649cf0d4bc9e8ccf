from support import ROOT

from eval.records import read_record
from eval.report.record import Report
from eval.report.terminal import headline, terminal_table


def test_what_is_not_there_has_no_line() -> None:
    report = read_record(ROOT / "results" / "tiny.json", Report)
    absent: dict[str, object] = {"compressors": None, "speed": [], "micro": None}
    nothing = {**absent, "exercises": None, "solution_bits": {}}
    bare = report.model_copy(update={**nothing, "missing": ["bits", "speed"], "notes": ["Beware."]})
    whole, lines = terminal_table(report), terminal_table(bare)
    assert [line.split()[0] for line in whole if not line.startswith("   ")] == [
        "tiny", "trained", "held-out", "gzip", "zstd", "xz", "speed", "exercises", "humaneval",
        "micro", "solutions",
    ]  # fmt: skip
    assert [line.split()[0] for line in lines] == [
        "tiny", "trained", "held-out", "humaneval", "missing", "note",
    ]  # fmt: skip
    assert lines[-2:] == ["  missing       bits, speed", "  note          Beware."]


def test_the_headline_is_of_the_most_heads() -> None:
    report = read_record(ROOT / "results" / "tiny.json", Report)
    figures = headline(report)
    assert figures["k"] == max(row.k for row in report.speed)
    assert figures["speedup"] == max(row.speedup for row in report.speed if row.k == figures["k"])
    assert report.compressors
    assert figures["gzip_bpb"] == report.compressors["gzip"].each
    bare = headline(report.model_copy(update={"speed": [], "humaneval": None, "compressors": None}))
    assert bare.keys() == figures.keys()
    absent = ("k", "batch", "speedup", "identical", "humaneval_pass_at_1", "gzip_bpb")
    assert [bare[name] for name in absent] == [None] * len(absent)
