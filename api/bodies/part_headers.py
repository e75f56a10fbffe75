"""What a part of a form calls itself: `Content-Disposition` as browsers and HTTP libraries write it.

Sources: RFC 7578 (4.2), RFC 8187 and RFC 2231 (`filename*=UTF-8''…`, `filename*0=…`), RFC 2047 (`=?utf-8?B?…?=`),
WHATWG HTML, "multipart/form-data encoding algorithm" (`%22`, `%0D`, `%0A`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from urllib.parse import unquote_to_bytes

_KIND = re.compile(rb"\s*([!-:<-~]+)")
_PARAMETER = re.compile(rb';\s*([!-:<>-~]+?)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;]*))', re.DOTALL)
_ESCAPED = re.compile(rb'\\(["\\])')
_ENCODED_WORDS = re.compile(r"=\?[^?\s]+\?[bBqQ]\?[^?]*\?=(?:\s+=\?[^?\s]+\?[bBqQ]\?[^?]*\?=)*")
_BROWSER_ESCAPES = {"%22": '"', "%0D": "\r", "%0A": "\n", "%0d": "\r", "%0a": "\n"}
_BROWSER_ESCAPE = re.compile("|".join(_BROWSER_ESCAPES))


def parse_disposition(header: bytes) -> tuple[str, Mapping[str, bytes]]:
    """The kind, and the parameters by their names in small letters, unquoted. The first of one name counts."""
    kind = _KIND.match(header)
    if kind is None:
        return "", {}
    parameters: dict[str, bytes] = {}
    for name, quoted, plain in _PARAMETER.findall(header, kind.end()):
        value = _ESCAPED.sub(rb"\1", quoted) if quoted else plain.strip()
        parameters.setdefault(name.decode("latin-1").lower(), value)
    return kind[1].decode("latin-1").lower(), parameters


def file_name(parameters: Mapping[str, bytes]) -> str | None:
    """None for a part that is no file."""
    extended = _extended(parameters.get("filename*")) or _continued(parameters)
    if extended:
        return extended
    given = parameters.get("filename")
    if given is None:
        return "" if any(name.startswith("filename*") for name in parameters) else None
    name = text_of(given)
    return _encoded_words(name) if _ENCODED_WORDS.fullmatch(name) else _unescaped(name)


def text_of(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _extended(value: bytes | None) -> str | None:
    """`UTF-8''%E6%9D%B1.jpg`; None when it is damaged: the plain name may be there."""
    charset, _, rest = (value or b"").partition(b"'")
    _, quote, packed = rest.partition(b"'")
    if not quote:
        return None
    try:
        return unquote_to_bytes(packed).decode(charset.decode("ascii"))
    except (UnicodeDecodeError, LookupError):
        return None


def _continued(parameters: Mapping[str, bytes]) -> str | None:
    """`filename*0*=UTF-8''%E6…; filename*1=…`."""
    whole, number = b"", 0
    extended = "filename*0*" in parameters
    while True:
        plain, packed = parameters.get(f"filename*{number}"), parameters.get(f"filename*{number}*")
        if plain is None and packed is None:
            break
        piece = plain or b""
        whole += packed if packed is not None else piece.replace(b"%", b"%25") if extended else piece
        number += 1
    return _extended(whole) if extended else text_of(whole) if number else None


def _encoded_words(name: str) -> str:
    try:
        return str(make_header(decode_header(name)))
    except (HeaderParseError, UnicodeDecodeError, LookupError, ValueError):
        return name


def _unescaped(name: str) -> str:
    return _BROWSER_ESCAPE.sub(lambda found: _BROWSER_ESCAPES[found[0]], name)
