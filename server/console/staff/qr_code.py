"""A QR code (ISO/IEC 18004) as an SVG that stands in a page: no script, no style, nothing fetched. Pure."""

from typing import Final

import segno

_QUIET: Final = 4  # modules of light around it, which readers need
_LIGHT, _DARK = "#ffffff", "#000000"  # in dark mode too: many readers know no other


def qr_code(text: str, label: str) -> str:
    """The markup of a picture of `text`, of squares drawn row by row.

    Args:
        text: What a camera reads of it.
        label: What the picture is, for who does not see it; ours, never what somebody sent.
    """
    rows = segno.make(text, error="m", micro=False).matrix
    side = len(rows) + 2 * _QUIET
    drawn = "".join(_row(row, at + _QUIET) for at, row in enumerate(rows))
    return (
        f'<svg class="qr" role="img" aria-label="{label}" viewBox="0 0 {side} {side}" width="232" height="232" '
        f'shape-rendering="crispEdges"><path fill="{_LIGHT}" d="M0 0h{side}v{side}H0z"/>'
        f'<path fill="{_DARK}" d="{drawn}"/></svg>'
    )


def _row(row: bytearray, top: int) -> str:
    """The dark runs of one row."""
    found, start = list[str](), None
    for at, dark in enumerate((*row, 0)):
        if dark and start is None:
            start = at
        elif not dark and start is not None:
            found.append(f"M{start + _QUIET} {top}h{at - start}v1h-{at - start}z")
            start = None
    return "".join(found)


__all__ = ["qr_code"]
