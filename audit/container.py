"""The one ZIP file that a bundle can be: every byte around the members follows from their names and bytes.

A ZIP file leaves its writer much freedom (times, attributes, comments, sizes in two places, members in another order
or hidden between others), and each is a place where two readers see different things. Here there is none: always
ZIP64, no times, no attributes, no gaps, no comment, members in the order of the directory. The reader reads forward,
builds the directory that must follow, and compares. Any ZIP tool opens the result. docs/formats/audit-bundle.md
"""

import struct
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import BinaryIO, Protocol, Self

from audit.errors import BundleInvalidError, BundleTooLargeError

STORED = 0
DEFLATED = 8
MAX_RATIO = 250
"""A member may be at most so many times its packed size, beyond the first MiB."""

BLOCK = 1024 * 1024
_READ = 128 * 1024  # of packed bytes at a time: what a bomb left over is copied for each MiB it gives
_LEVEL = 3
_RAW = -15  # deflate without a header
_NEEDS = 45  # ZIP64
_DATE = 0x21  # 1 January 1980, the earliest there is
_NAME = 256
_U16, _U32 = 0xFFFF, 0xFFFFFFFF

_LOCAL = struct.Struct("<4s5H3I2H")
_LOCAL_SIZES = struct.Struct("<2H2Q")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_CENTRAL_SIZES = struct.Struct("<2H3Q")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_END = struct.Struct("<4s4H2IH")


@dataclass(frozen=True, slots=True)
class Packed:
    """What a member's header says: how it is packed, the CRC-32 of its bytes, and how many there are."""

    method: int
    crc: int
    size: int
    packed: int

    def local_header(self, name: bytes) -> bytes:
        """The bytes before the member's own."""
        fields = (_NEEDS, 0, self.method, 0, _DATE, self.crc, _U32, _U32, len(name), _LOCAL_SIZES.size)
        return _LOCAL.pack(b"PK\3\4", *fields) + name + _LOCAL_SIZES.pack(1, 16, self.size, self.packed)

    def central_header(self, name: bytes, offset: int) -> bytes:
        """The member's place in the directory."""
        fields = (_NEEDS, _NEEDS, 0, self.method, 0, _DATE, self.crc, _U32, _U32, len(name), _CENTRAL_SIZES.size)
        sizes = _CENTRAL_SIZES.pack(1, 24, self.size, self.packed, offset)
        return _CENTRAL.pack(b"PK\1\2", *fields, 0, 0, 0, 0, _U32) + name + sizes


def _trailer(members: int, directory: int, offset: int) -> bytes:
    """The bytes after the directory."""
    return (
        _END64.pack(b"PK\6\6", 44, _NEEDS, _NEEDS, 0, 0, members, members, directory, offset)
        + _LOCATOR.pack(b"PK\6\7", 0, offset + directory, 1)
        + _END.pack(b"PK\5\6", 0, 0, _U16, _U16, _U32, _U32, 0)
    )


class Packer:
    """Packs one member's bytes into a file, block by block, so that no part of it is packed beyond MAX_RATIO."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._pending = bytearray()
        self._crc = self._size = self._packed = 0

    def write(self, data: bytes) -> None:
        """Add these bytes."""
        self._pending += data
        while len(self._pending) > BLOCK:
            self._block(bytes(self._pending[:BLOCK]), zlib.Z_FULL_FLUSH)
            del self._pending[:BLOCK]

    def finish(self) -> Packed:
        """Write what is pending; what the header must say."""
        self._block(bytes(self._pending), zlib.Z_FINISH)
        self._pending.clear()
        return Packed(DEFLATED, self._crc, self._size, self._packed)

    def _block(self, data: bytes, end: int) -> None:
        packed = _deflate(data, _LEVEL, end)
        if len(packed) * MAX_RATIO // 2 < len(data):
            packed = _deflate(data, 0, end)
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)
        self._packed += len(packed)
        self._out.write(packed)


def _deflate(data: bytes, level: int, end: int) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, _RAW)
    return packer.compress(data) + packer.flush(end)


class Sink(Protocol):
    """Where a container goes."""

    def write(self, data: bytes, /) -> int:
        """Add all of these bytes."""
        ...


class ContainerWriter:
    """Writes members one after another to a file that need not be seekable. Used with `with`; then `finish` it."""

    def __init__(self, out: Sink) -> None:
        self._out = out
        self._offset = self._members = 0
        self._directory = tempfile.SpooledTemporaryFile(max_size=BLOCK)  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._directory.close()

    def store(self, name: str, data: bytes) -> None:
        """A member given whole, not packed."""
        self._begin(name, Packed(STORED, zlib.crc32(data), len(data), len(data)))
        self._out.write(data)

    def copy(self, name: str, source: BinaryIO, packed: Packed) -> None:
        """A member whose packed bytes come next in `source`."""
        self._begin(name, packed)
        left = packed.packed
        while left:
            data = source.read(min(left, BLOCK))
            if not data:
                raise EOFError("the file with a member's bytes ended early")
            left -= len(data)
            self._out.write(data)

    def finish(self) -> int:
        """Write the directory; the file's size."""
        size = self._directory.tell()
        self._directory.seek(0)
        while data := self._directory.read(BLOCK):
            self._out.write(data)
        end = _trailer(self._members, size, self._offset)
        self._out.write(end)
        return self._offset + size + len(end)

    def _begin(self, name: str, packed: Packed) -> None:
        raw = name.encode("ascii")
        header = packed.local_header(raw)
        self._directory.write(packed.central_header(raw, self._offset))
        self._out.write(header)
        self._members += 1
        self._offset += len(header) + packed.packed


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a container that is being read: its name, where its packed bytes begin, and what its header says."""

    name: str
    start: int
    header: Packed

    def chunks(self, file: BinaryIO) -> Iterator[bytes]:
        """The member's bytes, at most a MiB at a time; when they end, they were what the header says.

        Raises:
            BundleInvalidError: They were not.
        """
        pieces = self._inflated(file) if self.header.method == DEFLATED else self._raw(file)
        crc = size = 0
        for piece in pieces:
            crc = zlib.crc32(piece, crc)
            size += len(piece)
            if size > self.header.size:
                break
            yield piece
        if size != self.header.size or crc != self.header.crc:
            raise self._invalid("does not have the size and checksum that its header states")

    def whole(self, file: BinaryIO, limit: int) -> bytes:
        """All of the member's bytes.

        Raises:
            BundleTooLargeError: There are more than `limit`.
            BundleInvalidError: They are not what the header says.
        """
        self.require(limit)
        return b"".join(self.chunks(file))

    def require(self, limit: int) -> None:
        """Return only if the member states no more than `limit` bytes.

        Raises:
            BundleTooLargeError: It states more.
        """
        if self.header.size > limit:
            raise BundleTooLargeError("a member is larger than the format allows", self.name, self.start)

    def _raw(self, file: BinaryIO) -> Iterator[bytes]:
        at, end = self.start, self.start + self.header.packed
        while at < end:
            file.seek(at)
            data = file.read(min(end - at, _READ))
            if not data:
                raise self._invalid("ends before its size")
            at += len(data)
            yield data

    def _inflated(self, file: BinaryIO) -> Iterator[bytes]:
        unpacker = zlib.decompressobj(_RAW)
        try:
            for data in self._raw(file):
                if unpacker.eof:
                    raise self._invalid("has bytes after its end")
                yield unpacker.decompress(data, BLOCK)
                while unpacker.unconsumed_tail and not unpacker.eof:
                    yield unpacker.decompress(unpacker.unconsumed_tail, BLOCK)
        except zlib.error:
            raise self._invalid("cannot be unpacked") from None
        if not unpacker.eof or unpacker.unused_data:
            raise self._invalid("does not end where its header states")

    def _invalid(self, what: str) -> BundleInvalidError:
        return BundleInvalidError(f"a member {what}", self.name, self.start)


class ContainerReader:
    """Reads a container's headers forward, in constant memory; the caller says which member must come next."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, 2)
        self._offset = self._members = self._directory = 0
        self._expected = sha256()

    @property
    def offset(self) -> int:
        """Where the next member begins."""
        return self._offset

    @property
    def size(self) -> int:
        """The file's size in bytes."""
        return self._size

    def member(self, name: str, method: int) -> Member:
        """The next member, which must be this one, packed like this.

        Raises:
            BundleInvalidError: It is another, or its header is not the only one it can have.
            BundleTooLargeError: It unpacks to more than the ratio allows.
        """
        raw = name.encode("ascii")
        wanted = _LOCAL.size + len(raw) + _LOCAL_SIZES.size
        self._file.seek(self._offset)
        found = self._file.read(wanted)
        if len(found) < wanted:
            raise BundleInvalidError("the file ends where a member must come", name, self._offset)
        crc = _LOCAL.unpack_from(found)[6]
        size, packed = _LOCAL_SIZES.unpack_from(found, wanted - _LOCAL_SIZES.size)[2:]
        header = Packed(method, crc, size, packed)
        if found != header.local_header(raw):
            raise BundleInvalidError(
                "another member, or another header, is where this one must come", name, self._offset
            )
        start = self._offset + wanted
        if packed > self._size - start or (method == STORED and size != packed):
            raise BundleInvalidError("a member's header states a size that it cannot have", name, self._offset)
        if size > BLOCK + MAX_RATIO * packed:
            raise BundleTooLargeError("a member unpacks to far more than its packed size", name, self._offset)
        entry = header.central_header(raw, self._offset)
        self._expected.update(entry)
        self._directory += len(entry)
        self._members += 1
        self._offset = start + packed
        return Member(name, start, header)

    def finish(self) -> None:
        """Return only if the directory of exactly the members read follows, and then the file ends.

        Raises:
            BundleInvalidError: Something else follows.
        """
        end = _trailer(self._members, self._directory, self._offset)
        self._file.seek(self._offset)
        found, left = sha256(), self._directory
        while left and (data := self._file.read(min(left, BLOCK))):
            found.update(data)
            left -= len(data)
        if left or found.digest() != self._expected.digest() or self._file.read(len(end) + 1) != end:
            raise BundleInvalidError(
                "what follows the last member is not the directory of the members", "directory", self._offset
            )
