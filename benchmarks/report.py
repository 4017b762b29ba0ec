"""Turns figures into docs/performance.md: tables and sentences between its markers, and the plots beside it.

The prose around the markers is written by hand. Every sentence here that depends on a figure is chosen by it.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.compare import CONFIDE, CONNECTIONS, QUERIES
from benchmarks.drawing import Bar, Panel, bars, lines, number

__all__ = ["write"]

Figures = Mapping[str, Any]

_HEADINGS = {"one": "one profile \u00d7 12", "page": "100 \u00d7 12"}
_FLAT = 1.1
_SEALED_TIMES = 30
_PARTS = ("machine", "goals", "compare", "cold", "sealed", "growth", "profile")
_PLOTTED = 8
_DEFAULT, _OFF, _MERCURIUS = "Strawberry, default", "Confide, privacy off", "Mercurius, JIT"


def write(figures: Figures, page: Path) -> None:
    """Put what the figures say into the page, and the plots into its directory; what was not measured stays."""
    text = page.read_text()
    sections = {
        "machine": _machine,
        "goals": _goals,
        "compare": _compare,
        "cold": _cold,
        "sealed": _sealed,
        "growth": _growth,
        "profile": _profile,
    }
    for name in _PARTS:
        said = sections[name](figures)
        if said is not None:
            text = _between(text, name, said)
    page.write_text(text)
    for name, drawn in _plots(figures).items():
        page.with_name(f"performance-{name}.svg").write_text(drawn)


def _between(text: str, name: str, said: str) -> str:
    pattern = re.compile(rf"(<!-- {name}: begin -->\n).*?(<!-- {name}: end -->)", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"the page has no place for {name}")
    return pattern.sub(lambda found: f"{found[1]}{said.rstrip()}\n{found[2]}", text)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    under = ["---", *["--:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, under, *rows)) + "\n"


def _machine(figures: Figures) -> str | None:
    runs = figures.get("runs")
    if not runs:
        return None
    same: dict[str, list[str]] = {}
    for part, run in runs.items():
        told = (
            f"{run['when']}, {run['cores']} cores ({run['processor']}), {run['memory_gib']} GiB, {run['system']}; "
            f"load average {run['load_before']} before and {run['load_after']} after; {run['versions']}"
            + ("; **a quick run, whose figures say little**" if run["quick"] else "")
        )
        same.setdefault(told, []).append(part)
    return "\n".join(f"- {', '.join(parts)}: {told}" for told, parts in same.items()) + "\n"


# ---- Goals


def _goals(figures: Figures) -> str | None:
    rows = [
        _ratio_goal(
            figures, "CPU against default Strawberry without privacy, over the database", _DEFAULT, (1 / 12,) * 2
        ),
        _ratio_goal(figures, "CPU against the same engine with privacy off", _OFF, (1.2, 1.2)),
        _ratio_goal(figures, "CPU against Mercurius JIT without privacy", _MERCURIUS, (4.0, 1.7)),
        _sealed_goal(figures),
        _rules_goal(figures),
    ]
    head = ("Goal", *(cell for query in QUERIES for cell in (f"{_HEADINGS[query]}: goal", "measured", "")))
    return _table(head, [each for each in rows if each]) + "".join(
        f"\n{each}\n" for each in _in_the_way(figures, rows)
    )


def _in_the_way(figures: Figures, rows: Sequence[Sequence[str] | None]) -> list[str]:
    """What takes the time where a goal is not met."""
    said = []
    *whole, sealed_row, _ = rows
    profile = figures.get("profile")
    for place, query in enumerate(QUERIES):
        missed = [row[0] for row in whole if row and row[3 * place + 3] != _met(met=True)]
        if missed and profile:
            parts = ", ".join(
                f"{part} {share:.0%}" for part, share in profile[query]["shares"].items() if share >= 0.01
            )
            said.append(
                f"What stands in the way with {_HEADINGS[query]}, as shares of Confide's own CPU "
                f"([below](#where-the-time-goes)): {parts}."
            )
    found = figures.get("sealed")
    if sealed_row and found and found["times"]["native"] < _SEALED_TIMES:
        cpu = found["cpu_us"]["confide"]
        groups = found["groups"]
        said.append(
            f"What stands in the way with the sealed part: of Confide's {cpu:.1f} µs AES by itself takes "
            f"{found['floor_us']:.1f}; the rest is that {groups} groups are opened by {groups} calls from Python, each "
            "with its nonce, its place as authenticated data and its payload to be decoded, while libmongocrypt stays in "
            "compiled code for the whole document."
        )
    return said


def _met(*, met: bool) -> str:
    return "met" if met else "**not met**"


def _fraction(value: float) -> str:
    return f"1/{1 / value:.1f}" if value < 1 / 2 else f"{value:.2f}"


def _limit(value: float) -> str:
    return f"≤ 1/{round(1 / value)}" if value < 1 / 2 else f"≤ {value:g}"


def _rows(figures: Figures, query: str, server: str) -> list[Mapping[str, Any]]:
    found = figures.get("compare", {}).get("rows", ())
    return [row for row in found if row["query"] == query and row["server"] == server]


def _ratio_goal(figures: Figures, name: str, server: str, limits: tuple[float, float]) -> list[str] | None:
    """Met where it is at every number of connections."""
    cells = [name]
    for query, limit in zip(QUERIES, limits, strict=True):
        rows = _rows(figures, query, server)
        if not rows:
            return None
        cells.append(_limit(limit))
        cells.append(" · ".join(_fraction(row["ratio"]) for row in rows))
        cells.append(_met(met=all(row["ratio"] <= limit for row in rows)))
    return cells


def _sealed_goal(figures: Figures) -> list[str] | None:
    found = figures.get("sealed")
    if not found:
        return None
    cells = ["CPU against CSFLE's native decryption of 12 fields, sealed part only"]
    for _ in QUERIES:
        cells += ["≤ 1/30", f"1/{found['times']['native']:.1f}", _met(met=found["times"]["native"] >= _SEALED_TIMES)]
    return cells


def _rules_goal(figures: Figures) -> list[str] | None:
    found = figures.get("growth", {}).get("rules")
    if not found:
        return None
    cells = ["CPU from 10 to 1,000 policy rules"]
    for query in QUERIES:
        ratio = found[query][-1]["ratio"]
        cells += ["≤ 1.05", f"{ratio:.3f}", _met(met=ratio <= 1.05)]
    return cells


# ---- Compared


def _compare(figures: Figures) -> str | None:
    found = figures.get("compare")
    if not found:
        return None
    said = [
        (
            f"{found['customers']:,} customers, medians of {found['rounds']} rounds. CPU is of the server's whole process "
            "tree, in microseconds a request; *times* is this server's CPU by Confide's, the median of the ratios round by "
            "round with the lowest and the highest: above one, Confide needs less.\n"
        )
    ]
    for query in QUERIES:
        for connections in CONNECTIONS:
            rows = [row for row in found["rows"] if row["query"] == query and row["connections"] == connections]
            if not rows:
                continue
            at_once = "one client" if connections == 1 else f"{connections} clients at once"
            said.append(f"\n**{_HEADINGS[query]}, {at_once}**\n")
            said.append(_table(_COMPARED, [_compared(row) for row in sorted(rows, key=lambda row: row["cpu_us"])]))
    memory = sorted(found["memory_mib"].items(), key=lambda item: item[1])
    idle = found.get("idle_ms", {})
    if idle:
        busiest = ", ".join(f"{name} {each:.1f}" for name, each in sorted(idle.items(), key=lambda item: item[1]))
        said.append(f"\nCPU in a second in which nobody asks, ms: {busiest}.\n")
    said.append("\nMemory afterwards, MiB: " + ", ".join(f"{name} {size}" for name, size in memory) + ".\n")
    return "\n".join(said)


_COMPARED = ("", "CPU µs", "times", "database's CPU µs", "p50 ms", "p99 ms", "answers/s")


def _compared(row: Mapping[str, Any]) -> list[str]:
    own = row["server"] == CONFIDE
    name = f"**{CONFIDE}**" if own else row["server"]
    times = "1" if own else _span(1 / row["ratio"], 1 / row["ratio_high"], 1 / row["ratio_low"])
    return [
        name, number(row["cpu_us"]), times, number(row["database_us"]),
        f"{row['p50_ms']:.2f}", f"{row['p99_ms']:.2f}", f"{row['rate']:,.0f}",
    ]  # fmt: skip


def _span(middle: float, low: float, high: float) -> str:
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def _cold(figures: Figures) -> str | None:
    found = figures.get("compare", {}).get("cold")
    if not found:
        return None
    rows = [
        [f"**{name}**" if name == CONFIDE else name, f"{each['ms']:.1f}", f"{each['cpu_ms']:.1f}"]
        for name, each in sorted(found.items(), key=lambda item: item[1]["cpu_ms"])
    ]
    return _table(("First request after the start", "ms", "CPU ms"), rows)


def _sealed(figures: Figures) -> str | None:
    found = figures.get("sealed")
    if not found:
        return None
    cpu, times = found["cpu_us"], found["times"]
    rows = [
        ["**Confide**, " + f"{found['groups']} groups, {found['bytes']} bytes", f"{cpu['confide']:.1f}", "1"],
        *(
            [label, f"{cpu[name]:.1f}", _span(times[name], found["times_low"][name], found["times_high"][name])]
            for name, label in (
                ("native", "CSFLE, the whole document natively"),
                ("explicit", "CSFLE, explicitly, field by field"),
            )
        ),
        ["floor: AES-256-GCM of as many bytes, `openssl speed`", f"{found['floor_us']:.1f}",
         f"{found['floor_us'] / cpu['confide']:.2f}"],
    ]  # fmt: skip
    return _table(("12 sealed fields of one person, all keys at hand", "CPU µs", "times"), rows)


# ---- Growth


def flatness(points: Sequence[Mapping[str, float]]) -> float:
    """The highest median by the lowest."""
    values = [point["cpu_us"] for point in points]
    return max(values) / min(values)


def _growth(figures: Figures) -> str | None:
    found = figures.get("growth")
    if not found:
        return None
    said: list[str] = []
    for name, (heading, column, told) in _CURVES.items():
        curves = found.get(name)
        if not curves:
            continue
        said.append(f"\n### {heading}\n\n![{heading}](performance-{name}.svg)\n")
        said.extend(f"- {sentence}" for sentence in told(curves))
        xs = [point["x"] for point in next(iter(curves.values()))]
        head = (f"CPU µs by {column}", *(f"{x:,.0f}" for x in xs))
        rows = [
            [_LABELS.get(curve, curve), *(number(point["cpu_us"]) for point in points)]
            for curve, points in curves.items()
        ]
        if name == "clients":
            for curve, points in curves.items():
                rows.append([f"{_LABELS[curve]}: p50 ms", *(f"{point['p50_ms']:.1f}" for point in points)])
                rows.append([f"{_LABELS[curve]}: p99 ms", *(f"{point['p99_ms']:.1f}" for point in points)])
                rows.append([f"{_LABELS[curve]}: answers/s", *(f"{point['rate']:,.0f}" for point in points)])
        said.append("\n" + _table(head, rows))
    return "\n".join(said)


_LABELS = {
    "one": "one profile",
    "page": "a page",
    "by e-mail": "found by e-mail address",
    "first sight": "one profile, not seen before",
    "profile": "each profile of the page",
}


def _flat_or(curve: str, points: Sequence[Mapping[str, float]], reason: str) -> str:
    """Whether a curve is flat; and if not, which way it goes, and the reason where it goes up."""
    label, spread = _LABELS[curve], flatness(points)
    first, last = points[0], points[-1]
    span = f"{number(first['cpu_us'])} µs at {first['x']:,.0f}, {number(last['cpu_us'])} µs at {last['x']:,.0f}"
    label = label[0].upper() + label[1:]
    if spread <= _FLAT:
        return f"{label}: flat ({span}; highest by lowest {spread:.2f})."
    said = f"{label}: not flat ({span}; highest by lowest {spread:.2f})."
    if max(point["low_us"] for point in points) <= min(point["high_us"] for point in points):
        return (
            f"{said} But rounds of one point differ as much, so that this measurement cannot tell it from a flat one."
        )
    return f"{said} {reason}" if last["cpu_us"] > first["cpu_us"] else f"{said} It does not grow."


def _customers_said(curves: Mapping[str, Any]) -> list[str]:
    nothing = (
        "No step looks through the customers: documents, keys and identifiers are found by index. What is left is the "
        "hardware's: what is asked for lies further apart in memory, here and in the database."
    )
    said = [_flat_or(name, curves[name], nothing) for name in ("one", "page", "by e-mail") if name in curves]
    known, strange = curves["one"][-1]["cpu_us"], curves["first sight"][-1]["cpu_us"]
    said.append(
        f"Somebody whom the process has not seen before costs {number(strange)} µs and not {number(known)}: their key is "
        "unwrapped, once, and kept with up to 16,384 others. "
        + _flat_or("first sight", curves["first sight"], nothing)
    )
    return said


def _page_said(curves: Mapping[str, Any]) -> list[str]:
    points = curves["page"]
    first, last = points[0], points[-1]
    each = (last["cpu_us"] - first["cpu_us"]) / (last["x"] - first["x"])
    fixed = first["cpu_us"] - each * first["x"]
    worst = max(abs(point["cpu_us"] - fixed - each * point["x"]) / point["cpu_us"] for point in points)
    straight = "a straight line" if worst <= 0.1 else f"nearly a straight line (up to {worst:.0%} beside it)"
    return [
        (
            f"A page is {straight}: {number(fixed)} µs for the request and {number(each)} µs for each profile, which is "
            "decrypted, decided on and written out. So it grows with what it shows, and with nothing else."
        ),
        (
            f"The cost of each profile falls from {number(first['cpu_us'])} to {number(last['cpu_us'] / last['x'])} µs, as "
            "the request's own cost is shared."
        ),
    ]


def _rules_said(curves: Mapping[str, Any]) -> list[str]:
    reason = (
        "Rules are turned into one table for each combination of roles and purpose, and looked up there; a request asks no "
        "rule. What differs is the process: more rules held in memory."
    )
    return [_flat_or(name, curves[name], reason) for name in QUERIES]


def _clients_said(curves: Mapping[str, Any]) -> list[str]:
    said = []
    for name in QUERIES:
        points = curves[name]
        said.append(_flat_or(name, points, "It grows as more is held and waited for at the same time."))
        if points[-1]["cpu_us"] * _FLAT < points[0]["cpu_us"]:
            said[-1] = said[-1].removesuffix(" It does not grow.") + (
                " It falls as more ask at once: their look-ups are put together into one query, their records are made "
                "durable by one commit, and what the process does besides is shared by more answers."
            )
    one = curves["one"]
    best = max(point["rate"] for point in one)
    full = next(point["x"] for point in one if point["rate"] >= 0.9 * best)
    said.append(
        f"From {full:.0f} clients on one process is busy ({best:,.0f} answers a second); more clients wait longer for the "
        "same number of answers, which is what the latencies show."
    )
    return said


_CURVES: Mapping[str, tuple[str, str, Any]] = {
    "customers": ("Customers", "customers", _customers_said),
    "profiles": ("Profiles a page", "profiles a page", _page_said),
    "rules": ("Policy rules", "rules", _rules_said),
    "clients": ("Clients at once", "clients", _clients_said),
}


def _profile(figures: Figures) -> str | None:
    found = figures.get("profile")
    if not found:
        return None
    parts = sorted({part for each in found.values() for part in each["shares"]},
                   key=lambda part: -found["one"]["shares"].get(part, 0))  # fmt: skip
    rows = [[part, *(f"{found[query]['shares'].get(part, 0):.0%}" for query in QUERIES)] for part in parts]
    said = [_table(("Share of the CPU, under cProfile", *(_HEADINGS[query] for query in QUERIES)), rows)]
    for query in QUERIES:
        dearest = ", ".join(f"`{name}` {share:.0%}" for name, share in found[query]["functions"][:8])
        said.append(f"\nBy themselves take most, {_HEADINGS[query]}: {dearest}.\n")
    return "\n".join(said)


# ---- Plots


def _plots(figures: Figures) -> dict[str, str]:
    drawn: dict[str, str] = {}
    if figures.get("compare"):
        drawn["compare"] = _bars(figures)
    growth = figures.get("growth", {})
    for name, (heading, column, told) in _CURVES.items():
        if name in growth:
            panels = [
                Panel(f"{_LABELS[curve]}: CPU µs", points=[(p["x"], p["cpu_us"]) for p in points])
                for curve, points in growth[name].items()
            ]
            drawn[name] = lines(heading, " ".join(told(growth[name])), column, panels)
    return drawn


def _bars(figures: Figures) -> str:
    panels = []
    for query in QUERIES:
        rows = [row for row in figures["compare"]["rows"] if row["query"] == query]
        at = _PLOTTED if any(row["connections"] == _PLOTTED for row in rows) else rows[0]["connections"]
        shown = [
            Bar(row["server"], row["cpu_us"], row["server"] == CONFIDE) for row in rows if row["connections"] == at
        ]
        panels.append(Panel(f"{_HEADINGS[query]}: CPU µs a request, {at} clients at once", bars=shown))
    order = "; ".join(
        f"{panel.heading}: "
        + ", ".join(f"{bar.label} {number(bar.value)}" for bar in sorted(panel.bars, key=lambda b: b.value))
        for panel in panels
    )
    return bars("Confide with privacy, beside others without", order, panels)
