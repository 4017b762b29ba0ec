"""Small SVG plots: bars and lines with direct labels, for light and dark, that a screen reader can tell of."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

__all__ = ["Bar", "Panel", "bars", "lines"]

_WIDTH = 760
_STYLE = """
svg { color-scheme: light dark; }
.paper { fill: #ffffff; } .ink { fill: #1b1f24; } .soft { fill: #57606a; } .grid { stroke: #d8dce0; }
.own { fill: #1f5f5b; } .other { fill: #aeb6bd; }
.line { stroke: #1f5f5b; fill: #1f5f5b; }
text { font: 13px system-ui, sans-serif; } .head { font-weight: 600; } text.num { font-variant-numeric: tabular-nums; }
polyline.line { fill: none; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
  .paper { fill: #14171a; } .ink { fill: #e8eaed; } .soft { fill: #a4adb5; } .grid { stroke: #343a40; }
  .own { fill: #5fb8b0; } .other { fill: #596068; }
  .line { stroke: #5fb8b0; fill: #5fb8b0; } polyline.line { fill: none; }
}
"""


@dataclass(frozen=True)
class Bar:
    """One bar; `own` is the one that the plot is about."""

    label: str
    value: float
    own: bool = False


@dataclass(frozen=True)
class Panel:
    """A part of a plot with a scale of its own."""

    heading: str
    bars: Sequence[Bar] = ()
    points: Sequence[tuple[float, float]] = ()


def number(value: float) -> str:
    """With as many digits as tell something."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}".rstrip("0").rstrip(".")


def bars(title: str, description: str, panels: Sequence[Panel]) -> str:
    """Horizontal bars, the shortest first, each with its label and its value."""
    left, right, row, parts, y = 190, 90, 24, [], 0
    for panel in panels:
        y += 28
        parts.append(_text(0, y, panel.heading, "ink head"))
        y += 10
        longest = max(bar.value for bar in panel.bars)
        for bar in sorted(panel.bars, key=lambda each: each.value):
            width = max(1.0, (_WIDTH - left - right) * bar.value / longest)
            parts.append(_text(left - 8, y + 16, bar.label, "ink head" if bar.own else "ink", "end"))
            kind = "own" if bar.own else "other"
            parts.append(f'<rect class="{kind}" x="{left}" y="{y + 3}" width="{width:.1f}" height="17" rx="2"/>')
            parts.append(_text(left + width + 6, y + 16, number(bar.value), "soft num"))
            y += row
        y += 12
    return _svg(title, description, y, parts)


def lines(title: str, description: str, x_label: str, panels: Sequence[Panel]) -> str:
    """One line each over a logarithmic x, from zero up, two side by side; the value stands at each point."""
    gap, left, height, row = 32.0, 52.0, 150.0, 250.0
    each = (_WIDTH - gap) / 2
    parts: list[str] = []
    for place, panel in enumerate(panels):
        x0, y0 = (place % 2) * (each + gap), (place // 2) * row
        parts.append(_text(x0, y0 + 16, panel.heading, "ink head"))
        parts.extend(_axes(panel, (x0 + left, x0 + each - 28), (y0 + 46, y0 + 46 + height), x_label))
    return _svg(title, description, row * math.ceil(len(panels) / 2), parts)


def _axes(panel: Panel, across: tuple[float, float], down: tuple[float, float], x_label: str) -> list[str]:
    (x0, x1), (top, bottom), parts = across, down, []
    xs = [x for x, _ in panel.points]
    step = _step(max(y for _, y in panel.points))
    low, high = math.log(xs[0]), math.log(xs[-1])

    def at(x: float) -> float:
        return x0 + 20 + (x1 - x0 - 20) * ((math.log(x) - low) / (high - low) if high > low else 0.5)

    def height(y: float) -> float:
        return bottom - (bottom - top) * y / (4 * step)

    for tick in range(5):
        y = height(tick * step)
        parts.append(f'<line class="grid" x1="{x0:.1f}" x2="{x1:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(x0 - 6, y + 4, number(tick * step) if tick else "0", "soft num", "end"))
    parts.extend(_text(at(x), bottom + 18, _short(x), "soft num", "middle") for x in xs)
    parts.append(_text((x0 + x1) / 2, bottom + 38, x_label, "soft", "middle"))
    places = [(at(x), height(y)) for x, y in panel.points]
    drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts.append(f'<polyline class="line" points="{drawn}"/>')
    for (x, y), (_, value) in zip(places, panel.points, strict=True):
        parts.append(f'<circle class="line" cx="{x:.1f}" cy="{y:.1f}" r="3"/>')
        parts.append(_text(x, y - 9, number(value), "ink num", "middle"))
    return parts


def _step(most: float) -> float:
    """A quarter of a scale that holds `most`, as a round number."""
    raw = most / 4 or 1.0
    size = 10 ** math.floor(math.log10(raw))
    return next(size * times for times in (1, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10) if size * times >= raw)


def _short(x: float) -> str:
    return f"{x / 1000:g}k" if x >= 1000 else f"{x:g}"


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(title: str, description: str, height: float, parts: Sequence[str]) -> str:
    margin = 12
    box = f"{-margin} {-margin} {_WIDTH + 2 * margin} {height + 2 * margin:.0f}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" role="img" aria-labelledby="title desc">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="desc">{escape(description)}</desc>',
            f"<style>{_STYLE}</style>",
            f'<rect class="paper" x="{-margin}" y="{-margin}" width="100%" height="100%"/>',
            *parts,
            "</svg>",
            "",
        ]
    )
