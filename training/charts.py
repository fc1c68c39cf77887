"""Pictures of the report as inline SVG: drawn with the page's own colours, so that they suit light and dark."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from training.fitted import Epoch
from training.metrics import Bin
from training.risk import TradeOff

_SIZE = 320
_EDGE = 44
_INNER = _SIZE - 2 * _EDGE
_LONGEST_NAME = 22
_MOST_NAMED = 100


def reliability_chart(before: Sequence[Bin], after: Sequence[Bin]) -> Markup:
    """Draw accuracy by confidence, before and after calibration; the area of a dot goes with the number of answers."""
    total = max(1, sum(part.count for part in after))
    parts = [_frame("confidence", "accuracy"), _line([(0.0, 0.0), (1.0, 1.0)], "ideal")]
    for bins, kind in ((before, "before"), (after, "after")):
        points = [(part.confidence, part.accuracy) for part in bins if part.count]
        parts.append(_line(points, kind))
        for part in bins:
            if part.count:
                radius = 2.5 + 12 * (part.count / total) ** 0.5
                said = f"{kind}: {part.count} answers, confidence {part.confidence:.2f}, accuracy {part.accuracy:.2f}"
                parts.append(_dot(part.confidence, part.accuracy, radius, kind, said))
    return _svg(_SIZE, _SIZE, "Reliability: accuracy by confidence", parts)


def learning_chart(epochs: Sequence[Epoch]) -> Markup:
    """Draw training and validation loss by epoch; they are on one scale, from 0 to the highest."""
    values = [value for epoch in epochs for value in (epoch.train_loss, epoch.validation_loss) if value is not None]
    top = max(values, default=1.0) or 1.0
    last = max(1, len(epochs) - 1)
    parts = [_frame("epoch", "loss", x_end=str(len(epochs)), x_start="1", y_end=f"{top:.2f}")]
    for kind, series in (
        ("before", [epoch.train_loss for epoch in epochs]),
        ("after", [epoch.validation_loss for epoch in epochs]),
    ):
        points = [(at / last, value / top) for at, value in enumerate(series) if value is not None]
        parts.append(_line(points, kind))
        parts.extend(_dot(x, y, 3.5, kind, f"{y * top:.3f}") for x, y in points)
    return _svg(_SIZE, _SIZE, "Loss by epoch", parts)


def trade_off_chart(trade_off: TradeOff, max_error: float, trust: float) -> Markup:
    """Draw the error left among unreviewed answers, and its upper bound, by the share reviewed.

    The dashed line is `max_error`; the dot marks the thresholds in force, of the given `trust`.
    """
    asked = zip(trade_off.trust, trade_off.answered, trade_off.errors, trade_off.most_error, strict=True)
    steps = [
        (float(at), 1.0 - int(kept) / trade_off.rows, int(wrong) / int(kept), float(most))
        for at, kept, wrong, most in asked
        if kept
    ]
    top = min(1.0, 1.2 * max([max_error, *(error for _, _, error, _ in steps)]))
    line = max_error / top
    parts = [_frame("share reviewed", "error left", y_end=f"{top:.1%}"), _line([(0.0, line), (1.0, line)], "ideal")]
    parts.append(_line([(share, most / top) for _, share, _, most in steps if most <= top], "before"))
    parts.append(_line([(share, error / top) for _, share, error, _ in steps], "after"))
    for at, share, error, _ in steps:
        if at == trust:
            parts.append(
                _dot(share, error / top, 5, "after", f"in force: {share:.1%} reviewed, {error:.2%} wrong left")
            )
    return _svg(_SIZE, _SIZE, "Error left by share reviewed", parts)


def confusion_chart(confusion: Sequence[Sequence[int]], labels: Sequence[str]) -> Markup:
    """Draw the confusion matrix: rows are true labels, columns chosen ones, shade is the share of the row.

    Cells shrink as labels grow in number; each tells its figures when pointed at, and empty ones are not drawn.
    """
    cell = max(9, min(30, 620 // len(labels))) if len(labels) <= _MOST_NAMED else max(3, 900 // len(labels))
    margin = 8 + int(6.2 * max(min(len(name), _LONGEST_NAME) for name in labels)) if len(labels) <= _MOST_NAMED else 8
    side = cell * len(labels)
    parts = [Markup('<rect class="plot" x="{0}" y="{0}" width="{1}" height="{1}"/>').format(margin, side)]
    for row, counts in enumerate(confusion):
        total = sum(counts)
        parts += [_cell(margin, cell, row, column, n, total, labels) for column, n in enumerate(counts) if n]
    if len(labels) <= _MOST_NAMED:
        parts += [_names(margin, cell, at, name) for at, name in enumerate(labels)]
    return _svg(margin + side + 4, margin + side + 4, "Confusion matrix", parts)


def _cell(margin: int, cell: int, row: int, column: int, n: int, total: int, labels: Sequence[str]) -> Markup:
    said = f"{labels[row]} answered as {labels[column]}: {n} of {total}"
    return Markup(
        '<rect class="{}" x="{}" y="{}" width="{}" height="{}" fill-opacity="{:.2f}"><title>{}</title></rect>'
    ).format(
        "right" if row == column else "wrong",
        margin + column * cell,
        margin + row * cell,
        cell - 1,
        cell - 1,
        0.15 + 0.85 * n / total,
        said,
    )


def _names(margin: int, cell: int, at: int, name: str) -> Markup:
    short = name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
    place = margin + at * cell + cell / 2 + 3
    return Markup(
        '<text class="name" text-anchor="end" x="{}" y="{}">{}</text>'
        '<text class="name" transform="translate({},{}) rotate(-90)">{}</text>'
    ).format(margin - 4, place, short, place, margin - 4, short)


def _frame(x_name: str, y_name: str, x_start: str = "0", x_end: str = "1", y_end: str = "1") -> Markup:
    low, high, middle = _EDGE, _SIZE - _EDGE, _SIZE / 2
    return Markup(
        '<rect class="plot" x="{low}" y="{low}" width="{inner}" height="{inner}"/>'
        '<text x="{low}" y="{under}" text-anchor="middle">{x_start}</text>'
        '<text x="{high}" y="{under}" text-anchor="middle">{x_end}</text>'
        '<text x="{middle}" y="{under}" text-anchor="middle">{x_name}</text>'
        '<text x="{beside}" y="{high}" text-anchor="end">0</text>'
        '<text x="{beside}" y="{top}" text-anchor="end">{y_end}</text>'
        '<text transform="translate({left},{middle}) rotate(-90)" text-anchor="middle">{y_name}</text>'
    ).format(
        low=low,
        high=high,
        middle=middle,
        inner=_INNER,
        under=high + 18,
        beside=low - 6,
        top=low + 4,
        left=low - 26,
        x_name=x_name,
        y_name=y_name,
        x_start=x_start,
        x_end=x_end,
        y_end=y_end,
    )


def _line(points: Sequence[tuple[float, float]], kind: str) -> Markup:
    path = " ".join(f"{_EDGE + x * _INNER:.1f},{_SIZE - _EDGE - y * _INNER:.1f}" for x, y in points)
    return Markup('<polyline class="{}" points="{}"/>').format(kind, path)


def _dot(x: float, y: float, radius: float, kind: str, said: str) -> Markup:
    place = (round(_EDGE + x * _INNER, 1), round(_SIZE - _EDGE - y * _INNER, 1))
    return Markup('<circle class="{}" cx="{}" cy="{}" r="{:.1f}"><title>{}</title></circle>').format(
        kind, *place, radius, said
    )


def _svg(width: int, height: int, name: str, parts: Sequence[Markup]) -> Markup:
    opening = Markup('<svg viewBox="0 0 {0} {1}" style="max-width:{0}px" role="img" aria-label="{2}">')
    return opening.format(width, height, escape(name)) + Markup("").join(parts) + Markup("</svg>")
