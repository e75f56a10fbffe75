"""Where the bytes of pictures come from, and where they must never come from. The servers are real, on loopback."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address

import pytest

from jobs.addresses import Address, is_any, is_public
from jobs.errors import DownloadFailed, InputNotFound, ObjectNotFound
from jobs.inputs.kept import KeptSources
from jobs.job import Source, SourceKind
from tests.fakes import MemoryBuckets, MemoryObjects
from tests.services.processes import free_port
from worker.sources import WorkerSources
from worker.web.downloads import MOST_REDIRECTS, FetchRules, fetch
from worker.web.names import NameUnresolved, resolve
from worker.web.safe_http import Guard, NotReached, Request, ask

Answer = Callable[[BaseHTTPRequestHandler], None]


class Site:
    """Answers each path as it was told to."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.posted: list[bytes] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.requests.append((self.path, self.headers["Host"]))
                site.answers[self.path](self)

            def do_POST(self) -> None:
                site.posted.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.do_GET()

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    thread = threading.Thread(target=site.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield site
    site.server.shutdown()
    thread.join()
    site.server.server_close()


def body(data: bytes, *, status: int = 200, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in ({"Content_Length": str(len(data))} | headers).items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(data)

    return answer


def redirect(location: str, status: int = 302) -> Answer:
    return body(b"", status=status, Location=location)


def drip(*, headers_too: bool) -> Answer:
    """One byte at a time, for ever; each soon enough to keep a naive time limit from striking."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        if not headers_too:
            request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        try:
            for _ in range(2000):
                request.wfile.write(b"x")
                time.sleep(0.05)
        except OSError:
            pass

    return answer


OPEN = Guard(allowed=is_any, timeout_s=60)
CLOSED = Guard(timeout_s=60)
INSIDE = ip_address("127.0.0.1")
ANYWHERE = "0.0.0.0"  # noqa: S104  # leads to this machine


def download(url: str, guard: Guard) -> bytes:
    return b"".join(fetch(url, FetchRules(max_bytes=1000, guard=guard)))


def refusal(url: str, guard: Guard) -> DownloadFailed:
    with pytest.raises(DownloadFailed) as caught:
        download(url, guard)
    return caught.value


def test_a_file_is_fetched(site: Site):
    site.answers["/a.jpg?size=2"] = body(b"pixels")
    assert download(site.url("/a.jpg?size=2#part"), OPEN) == b"pixels"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", ANYWHERE])
def test_loopback_is_refused_in_every_spelling(site: Site, host: str):
    site.answers["/a.jpg"] = body(b"secret")
    error = refusal(site.url("/a.jpg", host), CLOSED)
    assert not error.retryable
    assert site.requests == []


def test_a_name_that_leads_inside_is_refused(site: Site):
    rules = replace(CLOSED, resolve=lambda host, port: [INSIDE])
    assert not refusal(site.url("/a.jpg", "pictures.example.org"), rules).retryable
    assert site.requests == []


def test_of_several_addresses_only_public_ones_are_tried(site: Site):
    tried: list[str] = []

    def allowed(address: Address) -> bool:
        tried.append(str(address))
        return address == INSIDE

    rules = replace(CLOSED, resolve=lambda host, port: [ip_address("10.0.0.1"), INSIDE], allowed=allowed)
    site.answers["/a.jpg"] = body(b"pixels")
    assert download(site.url("/a.jpg", "pictures.example.org"), rules) == b"pixels"
    assert tried == ["10.0.0.1", "127.0.0.1"]


def test_the_connection_goes_to_the_address_that_was_checked(site: Site):
    """A second answer of the name server, given between check and connection, is never asked for."""
    answers = iter([[INSIDE], [ip_address("10.0.0.1")]])
    site.answers["/a.jpg"] = body(b"pixels")
    rules = replace(OPEN, resolve=lambda host, port: next(answers))
    assert download(site.url("/a.jpg", "pictures.example.org"), rules) == b"pixels"
    assert site.requests == [("/a.jpg", f"pictures.example.org:{site.port}")]
    assert len(list(answers)) == 1


@pytest.mark.parametrize("inside", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254"])
def test_a_redirect_to_the_inside_is_refused(site: Site, inside: str):
    """The first host passes for a public one; its redirect is checked like any other address."""
    names = {"pictures.example.org": [ip_address("127.0.0.1")]}
    checks: list[Address] = []

    def allowed(address: Address) -> bool:
        checks.append(address)
        return len(checks) == 1 or is_public(address)

    rules = replace(CLOSED, allowed=allowed, resolve=lambda host, port: names.get(host) or resolve(host, port))
    site.answers["/a.jpg"] = redirect(site.url("/inside", inside))
    site.answers["/inside"] = body(b"secret")
    assert not refusal(site.url("/a.jpg", "pictures.example.org"), rules).retryable
    assert [path for path, _ in site.requests] == ["/a.jpg"]


def test_redirects_are_followed_relative_ones_too(site: Site):
    site.answers["/a"] = redirect("b", 301)
    site.answers["/b"] = redirect("/c", 308)
    site.answers["/c"] = body(b"pixels")
    assert download(site.url("/a"), OPEN) == b"pixels"


def test_endless_redirects_end(site: Site):
    site.answers["/a"] = redirect("/a")
    assert not refusal(site.url("/a"), OPEN).retryable
    assert len(site.requests) == MOST_REDIRECTS + 1


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://example.org/a", "gopher://example.org", "//", "http://"]
)
def test_a_redirect_to_another_scheme_is_refused(site: Site, target: str):
    site.answers["/a"] = redirect(target)
    assert not refusal(site.url("/a"), OPEN).retryable


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://example.org/a", "http://", "http://:80/", "a.jpg", "", "http://[::1", "http://a:b/"],
)
def test_what_is_no_web_address_is_refused(url: str):
    assert not refusal(url, OPEN).retryable


@pytest.mark.parametrize(
    ("written", "asked"), [("/zürich.jpg", "/z%C3%BCrich.jpg"), ("/a b.jpg?x=ü", "/a%20b.jpg?x=%C3%BC")]
)
def test_addresses_may_be_written_as_people_write_them(site: Site, written: str, asked: str):
    site.answers[asked] = body(b"pixels")
    assert download(site.url(written), OPEN) == b"pixels"
    site.answers["/first"] = redirect(written.encode().decode("latin-1"))
    assert download(site.url("/first"), OPEN) == b"pixels"


def test_names_in_every_alphabet_are_resolved(site: Site):
    asked: list[str] = []

    def here(host: str, port: int) -> list[Address]:
        asked.append(host)
        return [ip_address("127.0.0.1")]

    site.answers["/a"] = body(b"pixels")
    assert download(site.url("/a", "münchen.example"), replace(OPEN, resolve=here)) == b"pixels"
    assert asked == ["xn--mnchen-3ya.example"]


def test_credentials_in_an_address_are_refused(site: Site):
    refusal(f"http://user:secret@127.0.0.1:{site.port}/a", OPEN)
    assert site.requests == []


@pytest.mark.parametrize("announced", [True, False])
def test_a_file_that_is_too_large_is_refused(site: Site, announced: bool):
    site.answers["/a"] = body(b"x" * 5000) if announced else unannounced
    assert not refusal(site.url("/a"), OPEN).retryable


def unannounced(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 5000)


def test_a_file_of_exactly_the_limit_is_fetched(site: Site):
    site.answers["/a"] = body(b"x" * 1000)
    assert len(download(site.url("/a"), OPEN)) == 1000


@pytest.mark.parametrize("headers_too", [True, False])
def test_a_server_that_drips_does_not_outlast_the_limit(site: Site, headers_too: bool):
    site.answers["/a"] = drip(headers_too=headers_too)
    began = time.monotonic()
    error = refusal(site.url("/a"), Guard(allowed=is_any, timeout_s=0.3))
    assert time.monotonic() - began < 60  # the site would have gone on for 100 s
    assert error.retryable


@pytest.mark.parametrize(("status", "retryable"), [(404, False), (403, False), (204, False), (429, True), (503, True)])
def test_an_error_of_the_server_may_pass_or_not(site: Site, status: int, retryable: bool):
    site.answers["/a"] = body(b"", status=status)
    assert refusal(site.url("/a"), OPEN).retryable is retryable


def test_a_name_server_that_never_answers_does_not_outlast_the_limit(site: Site):
    never = threading.Event()

    def silent(host: str, port: int) -> list[Address]:
        never.wait(100)
        return [INSIDE]

    began = time.monotonic()
    error = refusal(site.url("/a", "silent.example.org"), Guard(allowed=is_any, resolve=silent, timeout_s=0.3))
    never.set()
    assert time.monotonic() - began < 60
    assert error.retryable


def test_a_server_that_is_away_may_come_back():
    assert refusal(f"http://127.0.0.1:{free_port()}/a", OPEN).retryable


def test_an_answer_that_breaks_off_may_be_whole_next_time(site: Site):
    site.answers["/a"] = body(b"half", Content_Length="100")
    assert refusal(site.url("/a"), OPEN).retryable


def test_a_compressed_answer_is_refused(site: Site):
    site.answers["/a"] = body(b"zipped", Content_Encoding="gzip")
    assert not refusal(site.url("/a"), OPEN).retryable


def test_a_name_that_does_not_exist_is_a_lasting_failure():
    assert not refusal("http://does-not-exist.invalid/a.jpg", OPEN).retryable
    with pytest.raises(NameUnresolved):
        resolve("does-not-exist.invalid", 80)


def test_plain_http_where_tls_is_expected_fails(site: Site):
    refusal(site.url("/a").replace("http", "https"), OPEN)


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_public(address: str):
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            ANYWHERE,
            "224.0.0.1",
        ),
        *(
            "255.255.255.255",
            "::1",
            "::",
            "fec0::1",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
        ),
        *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:7f00:1::", "240.0.0.1"),
        *("::127.0.0.1", "::ffff:0:127.0.0.1", "fd00:ec2::254", "100.100.100.200", "168.63.129.16"),
    ],
)
def test_everything_behind_our_door_is_not_public(address: str):
    assert not is_public(ip_address(address))


def test_a_body_is_sent_and_the_beginning_of_the_answer_read(site: Site):
    site.answers["/hook"] = body(b"x" * 5000, status=307, Retry_After="7", Location="/elsewhere")
    request = Request(url=site.url("/hook"), method="POST", headers={"X-Name": "a"}, content=b"news")
    with ask(request, OPEN) as answer:
        assert (answer.status, answer.header("retry-after")) == (307, "7")
        assert 100 <= len(answer.read(100)) <= 5000
    assert site.posted == [b"news"]
    assert [path for path, _ in site.requests] == ["/hook"]


def test_a_body_is_sent_to_public_hosts_alone(site: Site):
    with pytest.raises(NotReached, match="private"), ask(Request(url=site.url("/hook"), method="POST"), CLOSED):
        pytest.fail("was asked")
    assert site.requests == []


class Samples:
    def picture(self, sample_id: str) -> bytes:
        return f"picture {sample_id}".encode()

    def mask(self, sample_id: str) -> bytes:
        return f"mask {sample_id}".encode()


@pytest.fixture
def sources() -> WorkerSources:
    objects = MemoryObjects()
    stored = {"jobs/1/inputs/0": b"stored", "default/uploads/5/upl_1": b"bytes", "default/uploads/6/upl_2": b"short"}
    objects.contents = {key: (data, "image/jpeg") for key, data in stored.items()}
    buckets = MemoryBuckets()
    buckets.contents = {"photos/cam/a.jpg": b"pixels", "photos/large.jpg": b"x" * 11}
    return WorkerSources(KeptSources(objects, buckets, Samples(), 10), FetchRules(guard=OPEN, max_bytes=10))


def test_a_stored_picture_is_read(sources: WorkerSources):
    assert sources.read(Source(SourceKind.OBJECT, "jobs/1/inputs/0"), tenant="any") == b"stored"
    with pytest.raises(ObjectNotFound):
        sources.read(Source(SourceKind.OBJECT, "jobs/1/inputs/1"), tenant="default")


def test_a_sample_and_its_mask_are_read(sources: WorkerSources):
    read = [sources.read(Source(SourceKind.SAMPLE, name), tenant="any") for name in ("rain", "rain#mask")]
    assert read == [b"picture rain", b"mask rain"]


def test_an_address_is_fetched(sources: WorkerSources, site: Site):
    site.answers["/a.jpg"] = body(b"pixels")
    assert sources.read(Source(SourceKind.URL, site.url("/a.jpg")), tenant="default") == b"pixels"


def test_an_upload_is_read_when_it_is_what_was_announced(sources: WorkerSources):
    assert sources.read(Source(SourceKind.UPLOAD, "default/uploads/5/upl_1"), tenant="default") == b"bytes"
    with pytest.raises(DownloadFailed, match="5 bytes, not 6"):
        sources.read(Source(SourceKind.UPLOAD, "default/uploads/6/upl_2"), tenant="default")
    with pytest.raises(InputNotFound, match="never arrived"):
        sources.read(Source(SourceKind.UPLOAD, "default/uploads/6/upl_3"), tenant="default")


def test_an_object_of_a_bucket_is_read(sources: WorkerSources):
    assert sources.read(Source(SourceKind.BUCKET, "photos/cam/a.jpg"), tenant="default") == b"pixels"
    with pytest.raises(InputNotFound, match="there is no object"):
        sources.read(Source(SourceKind.BUCKET, "photos/cam/b.jpg"), tenant="default")
    with pytest.raises(InputNotFound, match="may come from, not any more"):
        sources.read(Source(SourceKind.BUCKET, "photos/cam/a.jpg"), tenant="acme")
    with pytest.raises(DownloadFailed, match="larger than 10"):
        sources.read(Source(SourceKind.BUCKET, "photos/large.jpg"), tenant="default")
