"""The attacks, by name: each goes on until it is told to end, and never waits for an answer longer than that."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial

import httpx

from tests.attacks.costly import flat_png, scanned_jpeg
from tests.stack import pictures_zip

SLOW, SILENT, STALLED, HEADS = 64, 1_100, 500, 4
DRIP_S = 1.0
BEGUN_S = 120.0
PIECE = b"a" * 2**20
LINES = b"A: b\r\n" * 2**17


@dataclass(frozen=True, slots=True)
class Attacker:
    """begun: set once it has what it needs. over: set when it has to end."""

    url: str
    key: str
    begun: threading.Event
    over: threading.Event

    def http(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=120, headers={"Authorization": f"Bearer {self.key}"})

    def connected(self) -> socket.socket:
        url = httpx.URL(self.url)
        return socket.create_connection((url.host, url.port or 80), timeout=5)

    def head(self, line: str, *headers: str) -> bytes:
        lines = (line, "Host: localhost", f"Authorization: Bearer {self.key}", *headers)
        return "".join(f"{each}\r\n" for each in lines).encode()


Attack = Callable[[Attacker], None]


def slow_uploads(attacker: Attacker) -> None:
    """A byte a second, of ten million that are promised. Who is cut off comes again."""
    kind = "Content-Type: multipart/form-data; boundary=x"
    start = attacker.head("POST /jobs HTTP/1.1", kind, "Content-Length: 10000000") + b"\r\n--x\r\n"
    with ExitStack() as kept:
        links = [_opened(attacker, kept, start) for _ in range(SLOW)]
        while not attacker.over.wait(DRIP_S):
            for number, link in enumerate(links):
                if link is None or not _sent(link, b"-"):
                    links[number] = _opened(attacker, kept, start)


def endless_heads(piece: bytes, attacker: Attacker) -> None:
    """As fast as they are taken; who is cut off comes again."""

    def send() -> None:
        while not attacker.over.is_set():
            with suppress(OSError), attacker.connected() as link:
                link.sendall(attacker.head("GET /jobs HTTP/1.1"))
                while not attacker.over.is_set():
                    link.sendall(piece)
            attacker.over.wait(0.05)

    threads = [threading.Thread(target=send) for _ in range(HEADS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def silent_connections(attacker: Attacker) -> None:
    with ExitStack() as kept:
        links = [_opened(attacker, kept, b"") for _ in range(SILENT)]
        while not attacker.over.wait(DRIP_S):
            for number, link in enumerate(links):
                if link is None or _was_closed(link):
                    links[number] = _opened(attacker, kept, b"")


def stalled_downloads(attacker: Attacker) -> None:
    """Archives that are asked for and never taken."""
    with attacker.http() as http, ExitStack() as kept:
        job_id = _submit(http, "pictures.zip", pictures_zip(40), {"reuse": False, "artifacts": ["mask", "overlay"]})
        while http.get(f"/jobs/{job_id}").json()["status"] not in ("succeeded", "partial", "failed"):
            time.sleep(0.2)
        attacker.begun.set()
        asked = attacker.head(f"GET /jobs/{job_id}/archive HTTP/1.1") + b"\r\n"
        links = [_opened(attacker, kept, asked) for _ in range(STALLED)]
        while not attacker.over.wait(DRIP_S):
            for number, link in enumerate(links):
                if link is None:
                    links[number] = _opened(attacker, kept, asked)


def costly_jobs(pictures: Sequence[bytes], options: Mapping[str, object], attacker: Attacker) -> None:
    """Small jobs, which are urgent; taken back when it ends."""
    with attacker.http() as http:
        jobs = [_submit(http, f"a{number}", content, options) for number, content in enumerate(pictures)]
        attacker.over.wait()
        for job_id in filter(None, jobs):
            http.post(f"/jobs/{job_id}/cancel")


def _submit(http: httpx.Client, name: str, content: bytes, options: Mapping[str, object]) -> str | None:
    """The job's id; None when it is refused, which is one way to hold out."""
    answer = http.post("/jobs", files={"files": (name, content)}, data={"options": json.dumps(options)})
    return str(answer.json()["id"]) if answer.status_code == httpx.codes.ACCEPTED else None


def _opened(attacker: Attacker, kept: ExitStack, start: bytes) -> socket.socket | None:
    try:
        link = kept.enter_context(attacker.connected())
        link.sendall(start)
    except OSError:
        return None
    return link


def _sent(link: socket.socket, data: bytes) -> bool:
    try:
        link.sendall(data)
    except OSError:
        return False
    return not _was_closed(link)


def _was_closed(link: socket.socket) -> bool:
    """By the other side; what it said is not looked at."""
    try:
        return link.recv(4096, socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def attacks() -> Iterator[tuple[str, Attack]]:
    """One after the other, so that no two of the large pictures are held at once."""
    yield "slow uploads", slow_uploads
    # Both beyond what is allowed, and at its edge.
    yield "scans beyond the limit", partial(costly_jobs, [scanned_jpeg(512, scans=3_000)] * 4, {"reuse": False})
    yield "scans within it", partial(costly_jobs, [scanned_jpeg(4_000, scans=100)] * 4, {"reuse": False})
    tiles = {"reuse": False, "tile": {"size": 64, "overlap": 0}}
    yield "64-pixel tiles", partial(costly_jobs, [flat_png(4_000, channels=3)] * 4, tiles)
    yield "14000 × 14000 RGBA", partial(costly_jobs, [flat_png(14_000, channels=4)] * 3, {"reuse": False})
    yield "endless header", partial(endless_heads, PIECE)
    yield "endless headers", partial(endless_heads, LINES)
    yield "silent connections", silent_connections
    yield "stalled downloads", stalled_downloads


@contextmanager
def under(attack: Attack, url: str, key: str) -> Iterator[None]:
    """Attacked while the block runs."""
    begun, over = threading.Event(), threading.Event()
    thread = threading.Thread(target=attack, args=(Attacker(url, key, begun, over),))
    thread.start()
    if attack is stalled_downloads:
        begun.wait(BEGUN_S)
    try:
        yield
    finally:
        over.set()
        thread.join()
