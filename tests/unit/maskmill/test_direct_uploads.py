"""Many or large files go ahead of their job: against the real service, with connections that break."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from maskmill import Maskmill
from maskmill.errors import InvalidInput, ServerError, ServerUnreachable, Unprocessable
from maskmill.inputs import FILM_SUFFIXES
from maskmill.uploads import direct, ledger
from maskmill.uploads.multipart import FilePart
from tests.factories import picture
from tests.films import film
from tests.unit.api.house import House
from tests.unit.api.live import serving
from tests.unit.maskmill.toy_server import Answer, ToyServer, as_json, problem


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the state of submissions lies; everything counts as large, and pauses are short."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(direct, "DIRECT_BYTES", 0)
    monkeypatch.setattr(direct, "PAUSE_S", 0.01)
    return tmp_path / "cache" / "maskmill" / "uploads"


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "house")


@pytest.fixture
def service(house: House) -> Iterator[Maskmill]:
    house.folder.mkdir()
    with serving(house) as http, Maskmill(str(http.base_url), patience=0.5) as client:
        yield client


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "cam").mkdir(parents=True)
    for name in ("cam/a.jpg", "cam/b.jpg", "c.jpg"):
        (folder / name).write_bytes(picture() + name.encode())
    return folder


def test_files_go_ahead_of_their_job(service: Maskmill, house: House, pictures: Path, small: Path) -> None:
    told: list[tuple[int, int]] = []
    job = service.submit(pictures, metadata={"a": 1}, on_sent=lambda sent, total: told.append((sent, total)))
    assert sorted(image.name for image in job.rows()) == ["c.jpg", "cam/a.jpg", "cam/b.jpg"]
    total = sum(path.stat().st_size for path in pictures.rglob("*.jpg"))
    assert told[-1] == (total, total)
    assert [key for key in house.objects.contents if "/uploads/" not in key] == []
    assert list(small.iterdir()) == []


def test_behind_a_proxy_they_go_where_the_client_reaches_the_service(service: Maskmill, pictures: Path) -> None:
    service._transport.http.headers["X-Forwarded-Proto"] = "https"  # which makes the service's addresses others
    assert service.submit(pictures).total == 3


def test_masks_go_along(service: Maskmill, house: House, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "c_mask.png").write_bytes(b"mask")
    job = service.submit(pictures, masks=tmp_path / "masks")
    with house.database.unit() as unit:
        masks = [unit.images.get(job.id, index).mask for index in range(3)]
    assert [each is not None for each in masks] == [True, False, False] or sum(map(bool, masks)) == 1


@pytest.mark.parametrize("suffix", FILM_SUFFIXES)
def test_films_go_along(service: Maskmill, pictures: Path, suffix: str) -> None:
    container = "matroska" if suffix in (".mkv", ".webm") else "mp4"
    (pictures / f"drive{suffix}").write_bytes(film(seconds=1.0, container=container))
    job = service.submit(pictures, every=0.5)
    assert [image.name for image in job.rows()][3:] == ["drive/00-00-00.000.jpg", "drive/00-00-00.500.jpg"]


def test_what_had_arrived_is_not_sent_again(
    service: Maskmill, house: House, pictures: Path, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    announced: list[int] = []
    begun = direct.DirectUploads._announced

    def counted(self: direct.DirectUploads, places: list[int]) -> dict[int, direct._Ticket]:
        announced.append(len(places))
        return begun(self, places)

    monkeypatch.setattr(direct.DirectUploads, "_announced", counted)
    monkeypatch.setattr(direct, "ANNOUNCED", 1)
    put = direct.DirectUploads._put_rest
    calls: list[int] = []

    def broken(self: direct.DirectUploads, store: object, place: int, *rest: object) -> object:
        calls.append(place)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return put(self, store, place, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(direct.DirectUploads, "_put_rest", broken)
    with pytest.raises(KeyboardInterrupt):
        service.submit(pictures)
    assert len(list(small.iterdir())) == 1
    job = service.submit(pictures)
    assert job.total == 3
    assert (announced, calls) == ([1, 1, 1], [0, 1, 1, 2])
    assert len([key for key in house.objects.contents if "/uploads/" in key]) == 3
    assert list(small.iterdir()) == []


def test_a_connection_that_breaks_costs_only_what_was_on_its_way(
    service: Maskmill, house: House, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "PIECE", 100)
    body, sent = direct._FileBody.__iter__, []

    def broken(self: direct._FileBody) -> Iterator[bytes]:
        sent.append(self._offset)
        for count, piece in enumerate(body(self)):
            if count == 3 and len(sent) == 1:
                raise ServerUnreachable("cut")
            yield piece

    monkeypatch.setattr(direct._FileBody, "__iter__", broken)
    job = service.submit(pictures / "c.jpg")
    assert job.total == 1
    assert sent[0] == 0
    stored = [data for key, (data, _) in house.objects.contents.items() if "/uploads/" in key]
    assert stored == [(pictures / "c.jpg").read_bytes()]


def test_an_upload_that_expired_meanwhile_is_sent_anew(
    service: Maskmill, house: House, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [FilePart.of("files", pictures / "c.jpg", "c.jpg")]
    noted = ledger.open_ledger(service.server, parts, {}, key=None)
    noted.announce({0: "upl_" + "0" * 26})
    noted.close()
    assert service.submit(pictures / "c.jpg").total == 1


def test_a_submission_whose_answer_was_lost_is_one_job(
    service: Maskmill, house: House, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger.Ledger, "forget", lambda self: self.close())
    first, second = service.submit(pictures), service.submit(pictures)
    assert first.id == second.id


def test_another_set_of_files_finds_those_that_had_arrived(
    service: Maskmill, house: House, pictures: Path, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    put, most = direct.DirectUploads._put_rest, 2

    def broken(self: direct.DirectUploads, store: object, place: int, *rest: object) -> object:
        if len(sent) == most:
            raise KeyboardInterrupt
        sent.append(self.parts[place].name)
        return put(self, store, place, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(direct, "ANNOUNCED", 1)
    monkeypatch.setattr(direct.DirectUploads, "_put_rest", broken)
    with pytest.raises(KeyboardInterrupt):
        service.submit(pictures)
    arrived, most = sent[:], 9
    (pictures / arrived[0]).unlink()
    (pictures / "new.jpg").write_bytes(picture(seed=77))
    job = service.submit(pictures)
    assert (job.total, len(sent[2:]), set(sent[2:]) & set(arrived)) == (3, 2, set())
    assert arrived[1] in [image.name for image in job.rows()]
    assert list(small.iterdir()) == []


@pytest.mark.parametrize("options", [{}, {"model": "another"}], ids=["this submission", "another one"])
def test_what_arrived_whole_and_expired_since_is_sent_anew(
    service: Maskmill, pictures: Path, small: Path, options: dict[str, str]
) -> None:
    parts = [FilePart.of("files", pictures / "c.jpg", "c.jpg")]
    noted = ledger.open_ledger(service.server, parts, options, key=None)
    noted.announce({0: "upl_" + "0" * 26})
    noted.store(0)
    noted.close()
    assert service.submit(pictures / "c.jpg").total == 1
    assert list(small.iterdir()) == []


def test_a_wrong_option_costs_nothing_that_has_arrived(
    service: Maskmill, pictures: Path, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    put = direct.DirectUploads._put_rest

    def counted(self: direct.DirectUploads, store: object, place: int, *rest: object) -> object:
        sent.append(self.parts[place].name)
        return put(self, store, place, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(direct.DirectUploads, "_put_rest", counted)
    with pytest.raises(Unprocessable):
        service.submit(pictures, classes=["mars"])
    assert (service.submit(pictures).total, len(sent)) == (3, 3)
    assert list(small.iterdir()) == []


def test_other_files_or_options_are_another_submission(pictures: Path, small: Path) -> None:
    parts = [FilePart.of("files", pictures / "c.jpg", "c.jpg")]
    paths = {ledger.open_ledger("http://a", parts, {}, key=None).path}
    paths.add(ledger.open_ledger("http://b", parts, {}, key=None).path)
    paths.add(ledger.open_ledger("http://a", parts, {"model": "x"}, key=None).path)
    (pictures / "c.jpg").write_bytes(b"other")
    paths.add(ledger.open_ledger("http://a", [FilePart.of("files", pictures / "c.jpg", "c.jpg")], {}, key=None).path)
    assert len(paths) == 4


def test_a_line_that_was_cut_is_ignored(pictures: Path, small: Path) -> None:
    parts = [FilePart.of("files", pictures / "c.jpg", "c.jpg")]
    noted = ledger.open_ledger("http://a", parts, {}, key=None)
    noted.announce({0: "upl_1"})
    noted.store(0)
    noted.close()
    with noted.path.open("a") as file:
        file.write('{"stored": 7')
    again = ledger.open_ledger("http://a", parts, {}, key=None)
    assert (again.key, again.uploads, again.stored) == (noted.key, {0: "upl_1"}, {0})


def test_a_server_without_direct_uploads_gets_a_form(server: ToyServer, job_state, pictures: Path) -> None:
    server.on("POST", "/jobs", as_json(job_state(), 202))
    with Maskmill(server.url) as client:
        client.submit(pictures)
    (request,) = server.seen("POST", "/jobs")
    assert request.headers["content-type"].startswith("multipart/form-data")


def test_an_address_of_the_store_gets_the_file_and_no_key(server: ToyServer, job_state, pictures: Path) -> None:
    ticket = {"upload": "upl_1", "url": f"{server.url}/bucket/x?sig=1", "headers": {"Content-Type": "image/jpeg"}}
    server.on("POST", "/uploads", as_json({"uploads": [ticket]}, 201))
    server.on("PUT", "/bucket/x", problem(503, "slow_down"), Answer())
    server.on("POST", "/jobs", as_json(job_state(), 202))
    with Maskmill(server.url, api_key="mm_1") as client:
        client.submit(pictures / "c.jpg")
    put = server.seen("PUT", "/bucket/x")[-1]
    assert (put.body, put.headers["content-type"]) == ((pictures / "c.jpg").read_bytes(), "image/jpeg")
    assert "authorization" not in put.headers
    assert json.loads(server.seen("POST", "/jobs")[0].body) == {"inputs": [{"upload": "upl_1"}]}


def test_a_store_that_has_the_file_already_is_content(server: ToyServer, job_state, pictures: Path) -> None:
    ticket = {"upload": "upl_1", "url": f"{server.url}/bucket/x", "headers": {"If-None-Match": "*"}}
    server.on("POST", "/uploads", as_json({"uploads": [ticket]}, 201))
    server.on("PUT", "/bucket/x", problem(503, "slow_down"), Answer(412))
    server.on("POST", "/jobs", as_json(job_state(), 202))
    with Maskmill(server.url) as client:
        client.submit(pictures / "c.jpg")
    assert server.seen("PUT", "/bucket/x")[-1].headers["if-none-match"] == "*"


def test_a_store_that_refuses_ends_the_submission(server: ToyServer, pictures: Path) -> None:
    ticket = {"upload": "upl_1", "url": f"{server.url}/bucket/x", "headers": {}}
    server.on("POST", "/uploads", as_json({"uploads": [ticket]}, 201))
    server.on("PUT", "/bucket/x", Answer(500))
    with Maskmill(server.url) as client, pytest.raises(ServerError):
        client.submit(pictures / "c.jpg")


def test_a_server_that_is_away_for_good_ends_the_submission(
    server: ToyServer, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "STALL_S", 0.0)
    url = f"{server.url}/uploads/upl_1/content"
    server.on("POST", "/uploads", as_json({"uploads": [{"upload": "upl_1", "url": url, "headers": {}}]}, 201))
    server.on("PUT", "/uploads/upl_1/content", Answer(body=b"half", cut_after=2))
    with Maskmill(server.url) as client, pytest.raises(ServerUnreachable):
        client.submit(pictures / "c.jpg")


def test_an_empty_picture_fails_alone(service: Maskmill, house: House, pictures: Path) -> None:
    (pictures / "c.jpg").write_bytes(b"")
    job = service.submit(pictures)
    house.work()
    ended = {image.name: (image.status, image.error and image.error["message"]) for image in job.rows()}
    assert ended.pop("c.jpg") == ("failed", "the file is empty")
    assert set(ended.values()) == {("succeeded", None)}


def test_a_file_that_may_not_come_is_named(service: Maskmill, pictures: Path) -> None:
    (pictures / "more.zip").write_bytes(b"")
    with pytest.raises(Unprocessable, match=r"'more.zip' must have from 1 to \d+ bytes \(archive\), got 0"):
        service.submit(pictures)


@pytest.mark.parametrize(("change", "said"), [(b"grown" * 999, "longer"), (b"", "shorter")])
def test_a_file_that_changes_while_it_is_sent_makes_no_job(
    service: Maskmill, house: House, pictures: Path, change: bytes, said: str
) -> None:
    """Also one that goes with its job: the part of it that was there when it was looked at is no picture."""
    part = FilePart.of("files", pictures / "c.jpg", "c.jpg")
    part.path.write_bytes(change)
    noted = ledger.open_ledger(service.server, [part], {}, key=None)
    with closing(noted), pytest.raises(InvalidInput, match=f"c.jpg became {said} while it was sent"):
        direct.DirectUploads(service._transport, [part], noted).send()
    with pytest.raises(InvalidInput, match=f"c.jpg became {said} while it was sent"):
        service._post_files([part], {}, "key", None)
    assert [key for key in house.objects.contents if "/jobs/" in key] == []


def test_few_small_files_go_with_their_job(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct, "DIRECT_BYTES", 2**26)
    parts = [FilePart.of("files", pictures / "c.jpg", "c.jpg")]
    assert not direct.goes_direct(parts)
    assert direct.goes_direct(parts * 1001)
