r"""The report: a run folder becomes one page, a JSON file and a table in the terminal.

    from pathlib import Path
    from eval.report.assemble import assemble
    from eval.report.page import render
    from eval.report.run_folder import read_run
    from eval.report.terminal import terminal_table

    run = read_run(Path("runs/tiny"))
    report = assemble(run)
    print(*terminal_table(report), sep="\n")
    Path("report.html").write_text(render(report, run.metrics), encoding="utf-8")

`python -m eval report` does that, and adds sample completions.
"""
