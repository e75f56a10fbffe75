"""What `jobs.uploads.buckets.Buckets` promises, of directories and of S3."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.errors import ArtifactNotFound, InputChanged, ObjectNotFound, StorageUnavailable, TooManyBytes
from jobs.inputs.inputs import Inputs
from jobs.inputs.kept import KeptSources
from jobs.job import Source, SourceKind
from jobs.uploads.buckets import Buckets
from segmentation.picture_files.file_data import sha256_of
from storage.objects.buckets import open_buckets
from storage.settings import BucketRule, StorageSettings
from tests.factories import make_image, make_job
from tests.fakes import MemoryBuckets, MemoryObjects, StoredSamples
from tests.services.processes import free_port
from tests.services.s3 import S3Server
from tests.users import as_nobody


@pytest.fixture(params=["memory", "folder", "rclone", "radosgw"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Buckets, str]:
    """Buckets, and the name of one that is there and empty."""
    if request.param == "memory":
        return MemoryBuckets(), "photos"
    if request.param == "folder":
        (tmp_path / "photos").mkdir()
        return open_buckets(StorageSettings(home=tmp_path, buckets={"photos": rule(folder=tmp_path / "photos")})), (
            "photos"
        )
    server: S3Server = request.getfixturevalue(f"{request.param}_server")
    bucket = server.create_bucket()
    settings = StorageSettings(
        s3_endpoint=bucket.endpoint,
        s3_access_key=bucket.access_key,
        s3_secret_key=bucket.secret_key,
        buckets={bucket.bucket: BucketRule()},
    )
    return open_buckets(settings), bucket.bucket


def read(buckets: Buckets, location: str, *, most: int) -> bytes:
    return b"".join(buckets.stream(location, most=most))


def rule(folder: Path) -> BucketRule:
    return BucketRule(folder=folder)


def test_what_was_put_is_read_and_listed(place: tuple[Buckets, str]):
    buckets, name = place
    for key in ("cam/2.jpg", "cam/1 & <ü>.jpg", "camera.jpg", "other/3.jpg"):
        buckets.put(f"{name}/{key}", key.encode(), media_type="image/jpeg")
    buckets.put(f"{name}/other/3.jpg", io.BytesIO(b"new"), media_type="image/jpeg")
    assert list(buckets.names(name, "cam/")) == ["cam/1 & <ü>.jpg", "cam/2.jpg"]
    assert set(buckets.names(name, "cam")) == {"cam/1 & <ü>.jpg", "cam/2.jpg", "camera.jpg"}
    assert list(buckets.names(name, "nothing/")) == []
    assert read(buckets, f"{name}/cam/1 & <ü>.jpg", most=99) == "cam/1 & <ü>.jpg".encode()
    assert read(buckets, f"{name}/other/3.jpg", most=3) == b"new"
    with pytest.raises(TooManyBytes):
        read(buckets, f"{name}/other/3.jpg", most=2)


def test_more_than_a_page_of_names_is_listed(place: tuple[Buckets, str]):
    buckets, name = place
    if isinstance(buckets, MemoryBuckets):
        buckets.contents = {f"{name}/{number:05d}": b"" for number in range(1100)}
    else:
        for number in range(1100):
            buckets.put(f"{name}/{number:05d}", b"x", media_type="image/jpeg")
    assert list(buckets.names(name, "")) == [f"{number:05d}" for number in range(1100)]


def test_what_is_not_there_is_not_found(place: tuple[Buckets, str]):
    buckets, name = place
    for location in (f"{name}/none", "elsewhere/a", f"{name}/../a", name):
        with pytest.raises(ObjectNotFound):
            read(buckets, location, most=9)


def test_an_input_is_shown_as_long_as_it_is_what_was_segmented(place: tuple[Buckets, str]):
    buckets, name = place
    objects = MemoryObjects()
    inputs = Inputs(KeptSources(objects, buckets, StoredSamples(objects), 10**6))
    source = Source(SourceKind.BUCKET, f"{name}/cam/a.jpg")
    image = replace(make_image(), source=source, input_sha256=sha256_of(b"pixels"))
    buckets.put(source.location, b"pixels", media_type="image/jpeg")
    assert inputs.picture(make_job(), image) == b"pixels"
    buckets.put(source.location, b"others", media_type="image/jpeg")
    with pytest.raises(InputChanged):
        inputs.picture(make_job(), image)
    with pytest.raises(ArtifactNotFound, match="gone"):
        inputs.picture(make_job(), replace(image, source=Source(SourceKind.BUCKET, f"{name}/none")))


def test_only_what_is_set_is_allowed(tmp_path: Path):
    rules = {
        "in-bucket": BucketRule(folder=tmp_path),
        "out-bucket": BucketRule(folder=tmp_path, input=False, output=True),
        "acmes": BucketRule(folder=tmp_path, output=True, tenants=["acme"]),
    }
    buckets = open_buckets(StorageSettings(home=tmp_path, buckets=rules))
    told = [(buckets.allows(name, "zeta"), buckets.allows(name, "zeta", output=True)) for name in (*rules, "none")]
    assert told == [(True, False), (False, True), (False, False), (False, False)]
    assert buckets.allows("acmes", "acme")
    assert buckets.allows("acmes", "acme", output=True)


def test_a_link_leads_nowhere_out_of_a_directory(tmp_path: Path):
    inside = tmp_path / "photos"
    inside.mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "a.jpg").write_bytes(b"secret")
    (inside / "link.jpg").symlink_to(tmp_path / "secret" / "a.jpg")
    (inside / "folder").symlink_to(tmp_path / "secret")
    buckets = open_buckets(StorageSettings(home=tmp_path, buckets={"photos": BucketRule(folder=inside)}))
    for key in ("link.jpg", "folder/a.jpg"):
        with pytest.raises(ObjectNotFound):
            read(buckets, f"photos/{key}", most=99)
    with pytest.raises(ObjectNotFound):
        buckets.put("photos/folder/b.jpg", b"x", media_type="image/jpeg")
    assert list(buckets.names("photos", "folder/")) == []
    assert not (tmp_path / "secret" / "b.jpg").exists()


def test_a_folder_that_may_not_be_listed_is_no_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "closed").mkdir(mode=0)
    (tmp_path / "1.jpg").touch()
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    buckets = open_buckets(StorageSettings(home=tmp_path, buckets={"photos": BucketRule(folder=Path())}))
    with as_nobody(), pytest.raises(StorageUnavailable, match="cannot be listed: Permission denied"):
        list(buckets.names("photos", ""))
    assert list(buckets.names("photos", "gone/")) == []


def test_a_server_that_is_away_is_a_bucket_that_is_not_available():
    settings = StorageSettings(
        s3_endpoint=f"http://127.0.0.1:{free_port()}", buckets={"photos": BucketRule()}, s3_connect_timeout_s=0.2
    )
    with pytest.raises(StorageUnavailable):
        read(open_buckets(settings), "photos/a", most=9)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"buckets": {"photos": BucketRule()}}, "needs a folder"),
        ({"buckets": {"a/b": BucketRule(folder=Path("x"))}}, "3 to 63"),
        ({"objects_url": "s3://mine?endpoint=http://h:1", "buckets": {"mine": BucketRule()}}, "own bucket"),
    ],
)
def test_a_rule_that_cannot_hold_is_refused(settings: dict[str, object], why: str):
    with pytest.raises(ValueError, match=why):
        StorageSettings(**settings)  # type: ignore[arg-type]
