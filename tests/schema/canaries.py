"""Looks for values in bytes, in every usual disguise."""

import base64
from functools import cache

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument


@cache
def disguises(value):
    """The ways in which a text may stand in bytes: plain, reversed, UTF-16, hexadecimal, base64 at any offset."""
    found = set()
    for plain in (value, value.lower(), value.upper(), value[::-1]):
        for raw in (plain.encode(), plain.encode("utf-16-le"), plain.encode("utf-16-be")):
            found |= {raw, raw.hex().encode(), raw.hex().upper().encode()}
            found |= {text for offset in range(3) for text in _base64(raw, offset)}
    return found


def _base64(raw, offset):
    """Base64 of the bytes wherever they stand in a longer text, without the ends that depend on their neighbours."""
    encoded = base64.b64encode(b"\0" * offset + raw)
    whole = encoded[4 if offset else 0 : len(encoded) - 4]
    return {whole, whole.translate(bytes.maketrans(b"+/", b"-_"))}


def leaks(canaries, data):
    """Which of the canaries the bytes hold, and as what."""
    return {(value, each) for value in canaries for each in disguises(value) if len(each) > 5 and each in data}


async def everything_stored(*databases):
    """The raw bytes of every document of every collection."""
    raw = bytearray()
    options = CodecOptions(document_class=RawBSONDocument)
    for database in databases:
        for name in await database.list_collection_names():
            collection = database.get_collection(name, codec_options=options)
            for document in await collection.find({}).to_list(None):
                raw += document.raw
    return bytes(raw)
