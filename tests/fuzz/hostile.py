"""Files and requests made to hurt: pictures, masks, archives, forms, JSON, addresses, headers and raw sockets.

Each is drawn from its number alone, so that what was found can be sent again. What is asked of every answer: none is a
5xx but a documented 503 and 504, and none tells of the inside.
"""

from __future__ import annotations

import io
import json
import random
import re
import socket
import tarfile
import time
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from tests.factories import encoded, picture, tar_of, zip_of
from tests.fuzz.bad_pictures import hostile_picture

BUSY = frozenset({503, 504})  # documented: no place, no worker in time
LONGEST_S = 60.0
# Of programs, of this machine, of other people's data.
INSIDE = re.compile(r"Traceback \(most recent|File \"/|site-packages|Errno \d|<[a-z_.]+ object at 0x|psycopg|sqlite3\.")
ADDRESSES = (
    *("file:///etc/passwd", "http://127.0.0.1:1/", "http://2130706433/", "http://[::1]/", "http://0/", "gopher://x/"),
    *("http://169.254.169.254/latest/meta-data/", "http://localhost.:80/", "http://0x7f.1/", "http://[::ffff:7f00:1]/"),
    *(
        "http://user:secret@example.invalid/",
        "//example.invalid/x",
        "http://",
        "ftp://example.invalid/a.jpg",
        "http://\u0000/",
    ),
    *(
        "http://example.invalid:99999/",
        "http://" + "a" * 300 + "/",
        "data:image/png;base64,AAAA",
        "http://１２７.0.0.1/",
    ),
)
NAMES = (
    "../../etc/passwd",
    "/etc/passwd",
    "C:\\x.jpg",
    "a\x00b.jpg",
    "..",
    ".",
    "",
    "=1+1.jpg",
    "\u202egpj.exe",
    "a" * 4000,
    "CON",
    "a/../../b.jpg",
)
_POST = b"POST /jobs HTTP/1.1\r\nHost: localhost\r\n"
Draw = random.Random


@dataclass(slots=True)
class Findings:
    """breaches: as sentences; slowest_s: the longest answer, of which case."""

    cases: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    breaches: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    slowest: str = ""


def attack(http: httpx.Client, first: int, cases: int, findings: Findings | None = None) -> Findings:
    """findings: of earlier cases, which these are added to."""
    findings = findings or Findings()
    for number in range(first, first + cases):
        draw = Draw(number)
        kind = draw.choice(sorted(ATTACKS))
        started = time.monotonic()
        try:
            status, said = ATTACKS[kind](http, draw)
        except httpx.RemoteProtocolError:  # a request that is none may be cut off
            status, said = 0, ""
        except httpx.TransportError as error:
            status, said = 0, ""
            findings.breaches.append(f"{kind} {number}: {type(error).__name__}")
        took_s = time.monotonic() - started
        findings.cases += 1
        findings.statuses[status] = findings.statuses.get(status, 0) + 1
        if took_s > findings.slowest_s:
            findings.slowest_s, findings.slowest = took_s, f"{kind} {number}"
        if status >= 500 and status not in BUSY:
            findings.breaches.append(f"{kind} {number}: {status} {said[:300]}")
        if found := INSIDE.search(said):
            findings.breaches.append(f"{kind} {number}: tells {found[0]!r}")
    return findings


def _predict(http: httpx.Client, draw: Draw) -> tuple[int, str]:
    return _said(http.post("/predict", files={"file": (draw.choice(NAMES) or "a.jpg", hostile_picture(draw))}))


def _job(http: httpx.Client, draw: Draw) -> tuple[int, str]:
    files = [("files", (draw.choice(NAMES), hostile_picture(draw))) for _ in range(draw.randrange(1, 4))]
    options = draw.choice(("{}", "[" * 100_000, '{"model": ' + "9" * 5_000 + "}", '{"artifacts": [NaN]}', "\x00"))
    return _said(http.post("/jobs", files=files, data={"options": options}))


def _mask(http: httpx.Client, draw: Draw) -> tuple[int, str]:
    ids = np.random.default_rng(draw.randrange(99)).integers(
        0, 256, draw.choice(((24, 32), (1, 1), (24, 32, 3))), np.uint8
    )
    content = draw.choice((encoded(ids, "PNG"), hostile_picture(draw)))
    files = [("files", ("a.jpg", picture())), ("masks", (draw.choice(("a.png", "b.png", "a.jpg")), content))]
    space = draw.choice(("camvid-11", "cityscapes-19", "nothing"))
    return _said(http.post("/jobs", files=files, data={"mask_label_space": space}))


def _archive(http: httpx.Client, draw: Draw) -> tuple[int, str]:
    name, content = draw.choice((_odd_zip, _zip_bomb, _cut_zip, _odd_tar))(draw)
    return _said(http.post("/jobs", files=[("files", (name, content))]))


def _odd_zip(draw: Draw) -> tuple[str, bytes]:
    buffer = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(buffer, "w") as archive:  # of names that repeat
        for _ in range(draw.randrange(5)):
            entry = zipfile.ZipInfo(draw.choice(NAMES) or "x")
            entry.external_attr = draw.choice((0, 0o120777 << 16, 0o040755 << 16))
            archive.writestr(entry, hostile_picture(draw))
    return "a.zip", buffer.getvalue()


def _zip_bomb(draw: Draw) -> tuple[str, bytes]:
    inner = zip_of({"a.jpg": bytes(1_000)})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(draw.choice((2**20, 2**26))))
        archive.writestr("b.zip", inner)
    return "a.zip", buffer.getvalue()


def _cut_zip(draw: Draw) -> tuple[str, bytes]:
    data = bytearray(zip_of({"a.jpg": picture(), "b.jpg": picture(seed=1)}))
    if draw.random() < 0.5:
        return "a.zip", bytes(data[: draw.randrange(len(data))])
    for _ in range(draw.randrange(1, 9)):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return "a.zip", bytes(data)


def _odd_tar(draw: Draw) -> tuple[str, bytes]:
    if draw.random() < 0.5:
        data = tar_of({"a.jpg": picture()})
        return "a.tar", data[: draw.randrange(len(data))]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo(draw.choice(NAMES) or "x")
        entry.type = draw.choice((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.REGTYPE))
        entry.linkname = "/etc/passwd"
        archive.addfile(entry)
    return "a.tar.gz", buffer.getvalue()[: draw.choice((None, -4))]


def _json(http: httpx.Client, draw: Draw) -> tuple[int, str]:
    odd: list[Any] = [
        None,
        -1,
        1e308,
        2**70,
        "",
        "\u0000",
        "a" * 10_000,
        [],
        {},
        [[]],
        True,
        {"url": draw.choice(ADDRESSES)},
    ]
    fields = ("inputs", "model", "models", "artifacts", "options", "label_space", "bit_depth", "webhook", "output", "x")
    told = {draw.choice(fields): draw.choice(odd) for _ in range(draw.randrange(1, 5))}
    deep = b"[" * draw.choice((10, 100_000)) + b"]"
    body = draw.choice(
        (json.dumps(told).encode(), deep, b'{"a":NaN}', b"\xff\xfe{", b'{"inputs":' + b"9" * 5_000 + b"}")
    )
    return _said(http.post("/jobs", content=body, headers={"Content-Type": "application/json"}))


def _address(http: httpx.Client, draw: Draw) -> tuple[int, str]:
    inputs = [{"url": draw.choice(ADDRESSES)} for _ in range(draw.randrange(1, 4))]
    return _said(http.post("/jobs", json={"inputs": inputs}))


def _path(http: httpx.Client, draw: Draw) -> tuple[int, str]:
    odd = draw.choice(
        ("%00", "..%2f..%2fetc%2fpasswd", "%ff%fe", "job_" + "0" * 26, "a" * 3_000, "'%20OR%201=1--", "-1", "1e9")
    )
    path = draw.choice(
        ("/jobs/{}", "/jobs/{}/images", "/jobs/{}/archive", "/models/{}", "/jobs?cursor={}", "/uploads/{}")
    )
    return _said(http.request(draw.choice(("GET", "DELETE", "PUT", "POST", "PATCH")), path.format(odd)))


def _form(http: httpx.Client, draw: Draw) -> tuple[int, str]:
    boundary = draw.choice(("x", "x" * 200, "x y", ""))
    part = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n' + picture() + b"\r\n"
    body = draw.choice(
        (part, part + b"--x--", part.replace(b"\r\n", b"\n"), part * 3, b"--x\r\n" + b"A: b\r\n" * 500, b"", part[:40])
    )
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return _said(http.post("/jobs", content=body, headers=kind))


def _header(http: httpx.Client, draw: Draw) -> tuple[int, str]:
    odd = draw.choice(
        ("a" * 70_000, "\x7f", "bytes=0-" + "9" * 400, "é".encode().decode("latin-1"), "*/*;q=x", "wait=1e9")
    )
    name = draw.choice(
        ("Accept", "Range", "Prefer", "Idempotency-Key", "If-None-Match", "X-Request-ID", "Content-Length")
    )
    try:
        return _said(http.get("/jobs", headers={name: odd}))
    except (httpx.LocalProtocolError, UnicodeEncodeError):
        return 0, ""


def _socket(http: httpx.Client, draw: Draw) -> tuple[int, str]:
    """Requests that no library would send, and sockets that are left in the middle of them."""
    raw = draw.choice(
        (
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
            _POST + b"Content-Length: -1\r\n\r\n",
            _POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            _POST + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET /jobs HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 200 + b"\r\n",
            draw.randbytes(200),
        )
    )
    port = http.base_url.port or 80
    with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
        link.sendall(raw)
        link.settimeout(0.3)
        try:
            answer = link.recv(4096)
        except OSError:
            return 0, ""
    status = re.match(rb"HTTP/1\.1 (\d{3})", answer)
    return (int(status[1]) if status else 0), answer.decode("latin-1")


def _said(answer: httpx.Response) -> tuple[int, str]:
    is_text = "json" in answer.headers.get("content-type", "") or answer.status_code >= 400
    return answer.status_code, answer.text if is_text else ""


ATTACKS: Mapping[str, Callable[[httpx.Client, Draw], tuple[int, str]]] = {
    "address": _address,
    "archive": _archive,
    "form": _form,
    "header": _header,
    "job": _job,
    "json": _json,
    "mask": _mask,
    "path": _path,
    "predict": _predict,
    "socket": _socket,
}
