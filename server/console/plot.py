"""A line over days as an inline SVG, with its words: pure. Colours come from the style sheet, so it follows dark mode."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

WIDTH: Final = 640
HEIGHT: Final = 160
_LEFT: Final = 36
_RIGHT: Final = 72
_TOP: Final = 12
_BOTTOM: Final = 28
_APART: Final = 14


@dataclass(frozen=True, slots=True)
class Point:
    """A value of a day, and where it stands."""

    x: float
    y: float
    value: int
    day: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line with its name, which stands at its end; `path` is its SVG path, broken where a day has no value."""

    name: str
    style: str
    path: str
    points: tuple[Point, ...]
    label_y: float
    last: int


@dataclass(frozen=True, slots=True)
class Plot:
    """What a template draws: lines from 0 to 100, grid lines with their numbers, and the first and last day."""

    lines: tuple[Line, ...]
    grid: tuple[tuple[int, float], ...]
    days: tuple[tuple[str, float, str], ...]
    summary: str
    right: int
    width: int
    left: int = _LEFT
    height: int = HEIGHT


def plotted(series: Sequence[tuple[str, str, Sequence[tuple[date, int | None]]]], width: int = WIDTH) -> Plot | None:
    """Lines of values from 0 to 100 by day, each `(name, style, values)`; None where no line has two days.

    Args:
        series: The days of each are in order.
        width: Of the drawing.
    """
    days = sorted({day for _, _, values in series for day, value in values if value is not None})
    if len(days) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    first, span = days[0], (days[-1] - days[0]).days
    lines: list[Line] = []
    for name, style, values in series:
        points = [
            Point(_x((day - first).days / span, width), _y(value), value, day.isoformat())
            for day, value in values
            if value is not None
        ]
        if points:
            lines.append(Line(name, style, _path(values, points), tuple(points), points[-1].y, points[-1].value))
    return Plot(
        lines=_spread(lines),
        grid=tuple((value, _y(value)) for value in (0, 50, 100)),
        days=((days[0].isoformat(), _x(0, width), "start"), (days[-1].isoformat(), _x(1, width), "end")),
        summary="; ".join(_told(each) for each in lines),
        right=width - _RIGHT,
        width=width,
    )


def _x(share: float, width: int) -> float:
    return round(_LEFT + share * (width - _LEFT - _RIGHT), 1)


def _y(value: int) -> float:
    return round(_TOP + (100 - max(0, min(100, value))) / 100 * (HEIGHT - _TOP - _BOTTOM), 1)


def _path(values: Sequence[tuple[date, int | None]], points: Sequence[Point]) -> str:
    """From point to point, and anew after a day without a value."""
    at, parts, pen = iter(points), [], "M"
    for _, value in values:
        if value is None:
            pen = "M"
            continue
        point = next(at)
        parts.append(f"{pen}{point.x} {point.y}")
        pen = "L"
    return " ".join(parts)


def _spread(lines: Sequence[Line]) -> tuple[Line, ...]:
    """The lines with the names at their ends moved apart, so that none lies on another."""
    lowest, placed = -float(_APART), {}
    for line in sorted(lines, key=lambda each: each.label_y):
        placed[line.name] = lowest = max(line.label_y, lowest + _APART)
    over = max(0.0, lowest - (HEIGHT - _BOTTOM))
    return tuple(
        Line(each.name, each.style, each.path, each.points, round(placed[each.name] - over, 1), each.last)
        for each in lines
    )


def _told(line: Line) -> str:
    first, last = line.points[0], line.points[-1]
    how = "stayed at" if first.value == last.value else "rose from" if last.value > first.value else "fell from"
    ends = f"{last.value}" if first.value == last.value else f"{first.value} to {last.value}"
    return f"{line.name} {how} {ends} between {first.day} and {last.day}"


__all__ = ["HEIGHT", "WIDTH", "Line", "Plot", "Point", "plotted"]
