"""The picture of a task's trade-off between review and error: an HTML page, or the bare SVG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from core.errors import DataError
from service.artifact import Manifest
from training.charts import trade_off_chart
from training.report import environment
from training.risk import TradeOff

_STYLE = (
    "<style>svg{background:#fff;font:11px system-ui,sans-serif}text{fill:#667080}.plot{fill:none;stroke:#dfe2e6}"
    "polyline{fill:none;stroke-width:1.6}.ideal{stroke:#98a2b1;stroke-dasharray:4 4}.before{stroke:#c2542d}"
    ".after{stroke:#1f7a6d}circle.after{fill:#1f7a6d}</style>"
)


def draw_plan(path: Path, manifest: Manifest, figures: dict[str, Any], found: dict[str, Any]) -> Path:
    """Write the trade-off of `manifest`'s version to `path` (`.html` or `.svg`) and return it.

    `figures` are those of `TradeOff.figures`; `found` is what `regrade triage plan --json` prints.

    Raises:
        DataError: the file name ends in something else, no row was held out, or the file cannot be written.
    """
    if path.suffix not in {".html", ".svg"}:
        raise DataError(f"{path} ends in {path.suffix or 'nothing'!r}; the picture is an .html or an .svg file")
    trade_off = _trade_off(figures)
    if manifest.risk is None or not trade_off.answered.any():
        raise DataError(f"no row of {manifest.task} was held out to draw from; train on more rows")
    chart = trade_off_chart(trade_off, manifest.risk.max_error, min(manifest.thresholds.values()))
    content = _stand_alone(chart) if path.suffix == ".svg" else _page(manifest, chart, found)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}; choose another place with --out") from error
    return path


def _trade_off(figures: dict[str, Any]) -> TradeOff:
    arrays = {name: np.array(figures[name]) for name in ("trust", "answered", "errors", "most_error")}
    return TradeOff(**arrays, rows=figures["rows"], outside=figures["outside"])


def _stand_alone(chart: Markup) -> str:
    """Return the drawing as a file of its own: with its name space, size and colours."""
    opening = '<svg xmlns="http://www.w3.org/2000/svg" width="640" height="640" '
    head, end, rest = str(chart).replace("<svg ", opening, 1).partition(">")
    return head + end + _STYLE + rest + "\n"


def _page(manifest: Manifest, chart: Markup, found: dict[str, Any]) -> str:
    return environment().get_template("plan.html.j2").render(manifest=manifest, chart=chart, plan=found)
