"""An archive arrives whole or not at all, goes on where it stopped, and unpacks below its folder alone."""

from __future__ import annotations

import errno
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from maskmill import Maskmill
from maskmill.download import alone_in, check_place, keep_apart, mark, unpack, write_whole
from maskmill.errors import Conflict, DownloadBroken, InvalidInput
from maskmill.handle import JobHandle
from tests.unit.maskmill.toy_server import Answer, Received, ToyServer, as_json, problem
from tests.users import as_nobody

JobState = Callable[..., dict[str, Any]]


def _zip(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        for name, text in files.items():
            bundle.writestr(name.replace("__", "/"), text)
    return buffer.getvalue()


ARCHIVE = _zip(mask__a="A" * 50_000, metrics="m")


@pytest.fixture
def job(server: ToyServer, job_state: JobState) -> Iterator[JobHandle]:
    server.on("GET", "/jobs/job_1", as_json(job_state("succeeded", done=4)))
    with Maskmill(server.url, patience=1.0) as client:
        yield client.job("job_1")


def _ranged(body: bytes, *, etag: str | None, cut_after: int | None = None) -> Callable[[Received], Answer]:
    """As a server does that can go on, and whose connections break after `cut_after` bytes."""
    marks = {} if etag is None else {"ETag": etag}

    def respond(request: Received) -> Answer:
        start = int(request.headers.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if request.headers.get("if-range", etag) != etag or not start:
            return Answer(200, body, marks, cut_after)
        span = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
        return Answer(206, body[start:], {**marks, **span}, cut_after)

    return respond


def _ranges(server: ToyServer) -> list[str | None]:
    return [request.headers.get("range") for request in server.seen("GET", "/jobs/job_1/archive")]


def test_an_archive_is_unpacked_below_the_folder(server: ToyServer, job: JobHandle, tmp_path: Path) -> None:
    server.on("GET", "/jobs/job_1/archive", Answer(200, ARCHIVE))
    folder = job.download(tmp_path / "out")
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    assert names == [FETCHED, ".maskmill-job", "mask", "mask/a", "metrics"]


FETCHED = ".maskmill-fetched.json"  # what tells whether somebody changed a file
MANIFEST = {"manifest.json": '{"job": "job_2"}', "mask/a.png": ""}


@pytest.mark.parametrize("files", [MANIFEST, {"data.yaml": "", "labels/train/a.txt": ""}], ids=["archive", "export"])
def test_results_are_never_laid_between_those_of_another_job(
    server: ToyServer, job: JobHandle, tmp_path: Path, files: dict[str, str]
) -> None:
    folder, packed = tmp_path / "out", tmp_path / "other.zip"
    with zipfile.ZipFile(packed, "w") as bundle:
        for name, text in files.items():
            bundle.writestr(name, text)
    unpack(packed, folder, "job_2")
    server.on("GET", "/jobs/job_1/archive", Answer(200, ARCHIVE))
    with pytest.raises(InvalidInput, match=r"out holds the results of job_2; choose another folder"):
        job.download(folder)
    assert not (folder / "mask" / "a").exists()
    assert job.download(folder, unpacked=False).name == "job_1.zip"  # which lies beside them, by its own name
    keep_apart(folder, "job_2")


@pytest.mark.parametrize("unpacked", [True, False])
def test_a_second_download_into_the_folder_meanwhile_is_refused(
    server: ToyServer, job: JobHandle, tmp_path: Path, unpacked: bool
) -> None:
    refused: list[str] = []

    def respond(request: Received) -> Answer:
        with Maskmill(server.url, patience=1.0) as client, pytest.raises(InvalidInput) as error:
            client.job("job_1").download(tmp_path, unpacked=unpacked)
        refused.append(str(error.value))
        return Answer(200, ARCHIVE)

    server.on("GET", "/jobs/job_1/archive", respond)
    job.download(tmp_path, unpacked=unpacked)
    assert refused == [f"another download into {tmp_path} is going on; try again when it has ended"]
    left = [FETCHED, ".maskmill-job", "mask", "metrics"] if unpacked else ["job_1.zip"]
    assert sorted(path.name for path in tmp_path.iterdir()) == left


def test_a_folder_whose_file_system_locks_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_file: object, _kind: int) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", unknown)
    with (
        pytest.raises(InvalidInput, match=r"locks no files \(Operation not supported\).* choose a folder"),
        alone_in(tmp_path),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_two_jobs_that_end_together_are_not_laid_into_one_folder(
    server: ToyServer, tmp_path: Path, job_state: JobState
) -> None:
    def ended(request: Received) -> Answer:
        mark(tmp_path, "job_2")
        (tmp_path / "metrics").touch()
        return as_json(job_state("succeeded", done=4))

    server.on("GET", "/jobs/job_1", as_json(job_state("running", done=3)), ended)
    server.on("GET", "/jobs/job_1/archive", Answer(200, ARCHIVE))
    with Maskmill(server.url) as client, pytest.raises(InvalidInput, match="holds the results of job_2"):
        client.job("job_1").download(tmp_path)
    assert (tmp_path / "metrics").read_text() == ""


def test_a_lock_of_a_download_that_was_killed_is_in_nobodys_way(
    server: ToyServer, job: JobHandle, tmp_path: Path
) -> None:
    server.on("GET", "/jobs/job_1/archive", Answer(200, ARCHIVE))
    (tmp_path / ".maskmill-lock").touch()
    assert job.download(tmp_path) == tmp_path
    assert not (tmp_path / ".maskmill-lock").exists()


@pytest.mark.parametrize("other", ["{", "[]", '{"job": "build"}', '{"name": "a page"}'])
def test_a_manifest_of_something_else_is_nobodys_results(tmp_path: Path, other: str) -> None:
    (tmp_path / "manifest.json").write_text(other)
    keep_apart(tmp_path, "job_1")


def test_masks_that_somebody_changed_are_not_overwritten(server: ToyServer, job: JobHandle, tmp_path: Path) -> None:
    server.on("GET", "/jobs/job_1/archive", Answer(200, ARCHIVE))
    for _ in range(2):
        job.download(tmp_path)
    for name in ("mask/a", "metrics"):
        (tmp_path / name).write_text("changed")
    with pytest.raises(InvalidInput, match=r"mask/a in .* was changed since it was fetched; choose another folder"):
        job.download(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [FETCHED, ".maskmill-job", "mask", "metrics"]
    assert {(tmp_path / name).read_text() for name in ("mask/a", "metrics")} == {"changed"}
    unpack(job.download(tmp_path, unpacked=False), tmp_path, "job_1", over_changes=True)
    assert (tmp_path / "mask" / "a").read_text() == "A" * 50_000


def test_a_name_may_be_as_long_as_any(tmp_path: Path) -> None:
    name = "写" * 83 + ".png"  # of 255 bytes at most 253
    (tmp_path / "a.zip").write_bytes(_zip(**{f"mask__{name}": "mask"}))
    unpack(tmp_path / "a.zip", tmp_path / "out", "job_1")
    assert write_whole(tmp_path / "out" / "masks" / name, b"mask").read_bytes() == b"mask"
    found = sorted(path.name for path in (tmp_path / "out").rglob("*"))
    assert found == [FETCHED, ".maskmill-job", "mask", "masks", name, name]


def test_what_was_drawn_in_any_folder_is_kept_and_what_was_not_is_renewed(tmp_path: Path) -> None:
    """Files of exports, too, and corrections, of which newer versions come."""
    folder, packed = tmp_path / "out", tmp_path / "job.zip"

    def fetched(version: str) -> None:
        packed.write_bytes(_zip(corrected__a=version, polygons__a="{}"))
        unpack(packed, folder, "job_1")

    fetched("one")
    fetched("two")
    assert (folder / "corrected/a").read_text() == "two"
    for name, drawn in (("corrected/a", "mine"), ("polygons/a", "[]")):
        (folder / name).write_text(drawn)
        with pytest.raises(InvalidInput, match=rf"{name} in .* was changed since it was fetched"):
            fetched("three")
        assert (folder / name).read_text() == drawn
        unpack(packed, folder, "job_1", over_changes=True)
    fetched("four")


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o555)
    monkeypatch.chdir(tmp_path)
    with as_nobody(), pytest.raises(InvalidInput, match=r"out/here can hold no results: .* cannot be written"):
        check_place(Path("out/here"))


def test_a_folder_that_was_emptied_is_free_again(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    mark(tmp_path, "job_2")
    with pytest.raises(InvalidInput):
        keep_apart(tmp_path, "job_1")
    (tmp_path / "a.png").unlink()
    keep_apart(tmp_path, "job_1")


def test_errors_of_an_earlier_download_go_when_a_job_has_none_any_more(tmp_path: Path) -> None:
    folder, packed = tmp_path / "out", tmp_path / "job.zip"
    for names, left in ((["metrics.csv", "errors.csv"], True), (["mask/a.png"], True), (["metrics.csv"], False)):
        with zipfile.ZipFile(packed, "w") as bundle:
            for name in names:
                bundle.writestr(name, b"")
        unpack(packed, folder, "job_1")
        assert (folder / "errors.csv").exists() is left


def test_the_archive_alone_can_be_had(server: ToyServer, job: JobHandle, tmp_path: Path) -> None:
    server.on("GET", "/jobs/job_1/archive", Answer(200, ARCHIVE))
    assert job.download(tmp_path, unpacked=False, artifacts="mask").read_bytes() == ARCHIVE
    assert server.requests[-1].query == {"artifacts": "mask"}
    job.download(tmp_path, unpacked=False, artifacts=["mask", "metrics"])
    assert server.requests[-1].query == {"artifacts": "mask,metrics"}


def test_a_broken_download_goes_on_where_it_stopped(server: ToyServer, job: JobHandle, tmp_path: Path) -> None:
    server.on("GET", "/jobs/job_1/archive", _ranged(ARCHIVE, etag='"one"', cut_after=20_000))
    assert job.download(tmp_path, unpacked=False).read_bytes() == ARCHIVE
    assert _ranges(server) == [None, "bytes=20000-", "bytes=40000-"]


def test_a_later_call_goes_on_with_the_part_it_finds(server: ToyServer, job: JobHandle, tmp_path: Path) -> None:
    (tmp_path / "job_1.zip.part").write_bytes(ARCHIVE[:10_000])
    (tmp_path / "job_1.zip.part.etag").write_text('"one"')
    server.on("GET", "/jobs/job_1/archive", _ranged(ARCHIVE, etag='"one"'))
    assert job.download(tmp_path, unpacked=False).read_bytes() == ARCHIVE
    assert _ranges(server) == ["bytes=10000-"]
    assert [path.name for path in tmp_path.iterdir()] == ["job_1.zip"]


def test_a_part_of_another_archive_is_thrown_away(server: ToyServer, job: JobHandle, tmp_path: Path) -> None:
    (tmp_path / "job_1.zip.part").write_bytes(b"old" * 10_000)
    (tmp_path / "job_1.zip.part.etag").write_text('"old"')
    server.on("GET", "/jobs/job_1/archive", _ranged(ARCHIVE, etag='"one"'))
    assert job.download(tmp_path, unpacked=False).read_bytes() == ARCHIVE


def test_a_part_longer_than_the_archive_is_thrown_away(server: ToyServer, job: JobHandle, tmp_path: Path) -> None:
    (tmp_path / "job_1.zip.part").write_bytes(b"x" * 100)
    (tmp_path / "job_1.zip.part.etag").write_text('"one"')
    server.on("GET", "/jobs/job_1/archive", problem(416, "range_not_satisfiable"), Answer(200, ARCHIVE))
    assert job.download(tmp_path, unpacked=False).read_bytes() == ARCHIVE


def test_without_a_mark_nothing_old_is_trusted(server: ToyServer, job: JobHandle, tmp_path: Path) -> None:
    (tmp_path / "job_1.zip.part").write_bytes(b"x" * 100)
    server.on("GET", "/jobs/job_1/archive", _ranged(ARCHIVE, etag=None))
    assert job.download(tmp_path, unpacked=False).read_bytes() == ARCHIVE


def test_a_part_of_an_export_is_not_gone_on_with_as_the_archive(
    server: ToyServer, job: JobHandle, tmp_path: Path
) -> None:
    (tmp_path / "job_1.zip.part").write_bytes(ARCHIVE[:10_000])
    (tmp_path / "job_1.zip.part.etag").write_text('"one"')
    export = Answer(200, b"y" * 40_000, cut_after=20_000)  # which has no mark
    server.on("GET", "/jobs/job_1/archive", export, problem(409, "busy"), _ranged(ARCHIVE, etag='"one"'))
    with pytest.raises(Conflict):
        job.download(tmp_path, unpacked=False, export={"export": "cvat"})
    assert job.download(tmp_path, unpacked=False).read_bytes() == ARCHIVE


def test_a_server_that_gives_no_more_bytes_is_given_up(
    server: ToyServer, job: JobHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maskmill.download.TRIES_WITHOUT_PROGRESS", 2)
    server.on("GET", "/jobs/job_1/archive", Answer(200, ARCHIVE, cut_after=0))
    with pytest.raises(DownloadBroken, match="call again"):
        job.download(tmp_path)


def test_a_refusal_is_passed_on(server: ToyServer, job: JobHandle, tmp_path: Path) -> None:
    server.on("GET", "/jobs/job_1/archive", problem(409, "job_not_finished"))
    with pytest.raises(Conflict):
        job.download(tmp_path)


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "..\\evil", "C:/evil"])
def test_a_name_that_leaves_the_folder_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    archive = tmp_path / "bad.zip"
    with zipfile.ZipFile(archive, "w") as bundle:
        bundle.writestr("good", "x")
        bundle.writestr(name, "x")
    with pytest.raises(DownloadBroken, match="evil"):
        unpack(archive, tmp_path / "out", "job_1")
    assert not list((tmp_path / "out").iterdir())


def test_a_link_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "bad.zip"
    with zipfile.ZipFile(archive, "w") as bundle:
        entry = zipfile.ZipInfo("link")
        entry.external_attr = 0o120777 << 16
        bundle.writestr(entry, "/etc/passwd")
    with pytest.raises(DownloadBroken, match="link"):
        unpack(archive, tmp_path / "out", "job_1")


def test_a_damaged_archive_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "bad.zip").write_bytes(ARCHIVE[:-30])
    with pytest.raises(DownloadBroken, match="damaged"):
        unpack(tmp_path / "bad.zip", tmp_path / "out", "job_1")


def test_a_service_that_is_busy_with_other_archives_is_asked_again(
    server: ToyServer, job: JobHandle, tmp_path: Path
) -> None:
    busy = problem(503, "downloads_busy", Retry_After="0")
    server.on("GET", "/jobs/job_1/archive", busy, busy, _ranged(ARCHIVE, etag='"one"'))
    assert (job.download(tmp_path) / "metrics").read_text() == "m"
