"""Text out of bytes: which encoding a file is in, and its lines, none of them longer than the limit."""

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from customers.errors import ImportFileError

# What may be declared. Python's own names; "utf-16" reads the byte order from the mark.
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252")
SAMPLE_BYTES = 65_536
# What a byte becomes that is not in the encoding; a row that holds it is refused.
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_WELL_FORMED = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_C1_CONTROLS = re.compile(rb"[\x80-\x9f]")


def detect_encoding(sample: bytes) -> str:
    """The encoding that the first bytes of a file are in.

    A byte order mark decides. Without one: NUL bytes at every other place mean UTF-16; bytes that are UTF-8, or are
    mostly UTF-8 with some damage, mean UTF-8, so that a damaged file is refused row by row rather than misread; only
    bytes with no UTF-8 in them at all mean Latin-1, or Windows-1252 where they use what Latin-1 leaves empty.
    """
    if sample.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if max(even, odd) * 4 > len(sample) and min(even, odd) * 8 < max(even, odd):
        return "utf-16-be" if even > odd else "utf-16-le"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        if _WELL_FORMED.search(sample):
            return "utf-8"
        return "cp1252" if _C1_CONTROLS.search(sample) else "latin-1"
    return "utf-8"


def check_encoding(name: str) -> str:
    """The declared encoding by the name it has here.

    Raises:
        ImportFileError: It is not one that imports read.
    """
    wanted = name.strip().lower().replace("_", "-")
    wanted = {"utf8": "utf-8", "utf16": "utf-16", "latin1": "latin-1", "iso-8859-1": "latin-1"}.get(wanted, wanted)
    wanted = {"windows-1252": "cp1252"}.get(wanted, wanted)
    if wanted not in ENCODINGS:
        raise ImportFileError(f"the declared encoding is not one of {', '.join(ENCODINGS)}")
    return wanted


@dataclass(frozen=True, slots=True)
class Line:
    """A line with its end, or, when it was longer than the limit, only the fact."""

    number: int
    text: str
    too_long: bool = False


class Lines:
    """The lines of a file, one in memory at a time; a longer one than `limit` characters is passed over."""

    def __init__(self, binary: BinaryIO, encoding: str, limit: int) -> None:
        self._text = io.TextIOWrapper(binary, encoding, errors="replace", newline="")
        self._limit = limit
        self._number = 0

    def __iter__(self) -> Iterator[Line]:
        return self

    def __next__(self) -> Line:
        text = self._text.readline(self._limit + 1)
        if not text:
            raise StopIteration
        self._number += 1
        if len(text) <= self._limit:
            return Line(self._number, text)
        while text and not text.endswith(("\n", "\r")):
            text = self._text.readline(self._limit)
        return Line(self._number, "", too_long=True)

    def close(self) -> None:
        """Close the file below."""
        self._text.close()
