"""The few HTML parts that the report is made of."""

import base64
import html
from collections.abc import Sequence

from matplotlib.figure import Figure

from eval.report.plots import to_svg


def escape(text: object) -> str:
    """`text` for HTML and its attributes; a lone surrogate, which UTF-8 cannot hold, escaped."""
    plain = str(text).encode("utf-8", "backslashreplace").decode("utf-8")
    return html.escape(plain, quote=True)


def table(
    rows: Sequence[Sequence[str]],
    head: Sequence[str] = (),
    numbers: Sequence[int] = (),
    kind: str = "",
) -> str:
    """An HTML table of cells that are HTML already; `numbers` are the columns set to the right."""
    lines = [f'<div class="wide"><table class="{kind}">']
    for tag, cells_of in (("th", [head] if head else []), ("td", rows)):
        for cells in cells_of:
            marks = (' class="n"' if i in numbers else "" for i in range(len(cells)))
            row = "".join(
                f"<{tag}{mark}>{cell}</{tag}>" for mark, cell in zip(marks, cells, strict=True)
            )
            lines.append(f"<tr>{row}</tr>")
    return "\n".join([*lines, "</table></div>"])


def picture(figure: Figure, words: str) -> str:
    """A figure as an image that lies in the page itself; `words` say what it shows."""
    data = base64.b64encode(to_svg(figure).encode()).decode()
    return f'<figure><img alt="{escape(words)}" src="data:image/svg+xml;base64,{data}"></figure>'


def missing(what: str) -> str:
    """A visible note that a stage left nothing."""
    return f'<p class="note">{escape(what)} is missing: this stage was not run here.</p>'
