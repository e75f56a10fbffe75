"""Known pictures sent again with some new ones, on real databases and stores: the short form of a benchmark.

`python -m benchmarks.comparing.resubmission` does the same with 2,000 and 20 pictures and keeps its figures.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from benchmarks.comparing.resubmission import Found, Resubmission
from benchmarks.comparison import open_bench
from storage.settings import StorageSettings
from tests.integration.test_comparison_job import pictures
from tests.services.s3 import S3Server
from tests.tiny_models import tiny_bundle

OLD, NEW = 12, 3
AS_IT_MUST_BE = Found(
    deleted_first="older",
    forwards_of_old=OLD,
    forwards_of_all=NEW,
    decoded_again=NEW,
    reused=OLD,
    equal_files=2 * OLD,  # a mask and an overlay each
    equal_rows=OLD,
    faults=[],
)


@pytest.fixture(params=["local", pytest.param("servers", marks=pytest.mark.slow)])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> StorageSettings:
    """A file and a directory, or PostgreSQL and an S3 store."""
    local = StorageSettings(home=tmp_path / "home")
    tiny_bundle(local.home / "models", name="tiny")
    if request.param == "local":
        return local
    server: S3Server = request.getfixturevalue("rclone_server")
    bucket = server.create_bucket()
    return StorageSettings(
        home=local.home,
        database_url=request.getfixturevalue("migrated_postgres_url"),
        objects_url=bucket.url,
        s3_access_key=SecretStr(bucket.access_key),
        s3_secret_key=SecretStr(bucket.secret_key),
    )


@pytest.mark.parametrize("older_goes_first", [True, False])
def test_only_new_pictures_are_computed_and_each_job_outlives_the_other(
    settings: StorageSettings, tmp_path: Path, older_goes_first: bool
) -> None:
    given = pictures(OLD + NEW)
    with open_bench(settings) as bench:
        check = Resubmission(bench, settings, tmp_path)
        found = check.run(given[:OLD], given[OLD:], "tiny", older_goes_first=older_goes_first)
    assert found == replace(AS_IT_MUST_BE, deleted_first="older" if older_goes_first else "newer")


def test_the_audit_names_what_is_gone_and_what_is_nobodys(tmp_path: Path) -> None:
    settings = StorageSettings(home=tmp_path / "home")
    tiny_bundle(settings.home / "models", name="tiny")
    with open_bench(settings) as bench:
        job = bench.run(pictures(2), "tiny")
        check = Resubmission(bench, settings, tmp_path)
        assert list(check.audit("now", job)) == []
        gone = bench.images(job)[0].results[0].artifacts[0].key
        bench.objects.delete(gone)
        bench.objects.put(f"{job.prefix}mask/stranger", b"x", media_type="image/png")
        found = list(check.audit("now", job))
    assert found == [f"now: the store lacks {gone}", f"now: no row names {job.prefix}mask/stranger"]
