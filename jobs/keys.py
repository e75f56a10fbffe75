"""Names in the object store. All of a job lies below one prefix, which its row keeps.

Also how a source of kind `sample` names a sample's ground truth.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator

from jobs.job import Job, Source, SourceKind

DISAGREEMENT = "disagreement"  # the artifact of several models together
SAMPLE_MASK_SUFFIX = "#mask"
_CORRECTIONS = "corrections"
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class _Last:
    """The number of the newest id of this process."""

    number = 0
    lock = threading.Lock()


ULID = "[0-9A-HJKMNP-TV-Z]{26}"  # what ids are made of, as a pattern


def new_job_id() -> str:
    return f"job_{_ulid()}"


def new_delivery_id() -> str:
    return f"dlv_{_ulid()}"


def new_upload_id() -> str:
    return f"upl_{_ulid()}"


def _ulid() -> str:
    """So that ids sort by creation time: each is larger than the one before it in this process.

    Source: the ULID specification (48 bits of milliseconds, 80 of chance, Crockford's base 32), "Monotonicity".
    """
    milliseconds, chance = time.time_ns() // 1_000_000, secrets.randbits(80)
    with _Last.lock:
        number = _Last.number = max((milliseconds << 80) | chance, _Last.number + 1)
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


def sample_mask(sample_id: str) -> str:
    """The location of a sample's ground truth, for a source of kind `sample`; its picture's is the id itself."""
    return sample_id + SAMPLE_MASK_SUFFIX


def job_prefix(tenant: str, job_id: str) -> str:
    """Of a new job; an older one's may differ, and its row says so."""
    return f"{tenant}/jobs/{job_id}/"


def input_key(prefix: str, index: int) -> str:
    return f"{prefix}inputs/{index:06d}"


def truth_key(prefix: str, index: int) -> str:
    return f"{prefix}truth/{index:06d}"


def artifact_key(job: Job, artifact: str, index: int, *, attempt: int, model: int = 0) -> str:
    """Each attempt has keys of its own: a worker that comes too late overwrites nothing.

    model: its position in the job, told where there are several.
    """
    folder = artifact if len(job.models) == 1 else f"{model}/{artifact}"
    return f"{job.prefix}{folder}/{index:06d}.{attempt}"


def new_correction_key(prefix: str, index: int) -> str:
    """Another one each time: who overtakes whom is settled in the database."""
    return f"{prefix}{_CORRECTIONS}/{index:06d}.{_ulid()}"


def is_correction(source: Source) -> bool:
    """Whether a mask was drawn on the picture as it is looked at, and checked when it was taken."""
    return source.kind is SourceKind.OBJECT and source.location.split("/")[-2:-1] == [_CORRECTIONS]


def disagreement_key(job: Job, index: int, *, attempt: int) -> str:
    return f"{job.prefix}{DISAGREEMENT}/{index:06d}.{attempt}"


def attempt_keys(job: Job, index: int, *, attempt: int) -> Iterator[str]:
    """All that an attempt may have stored."""
    for model in range(len(job.models)):
        for artifact in job.options.artifacts:
            yield artifact_key(job, artifact, index, attempt=attempt, model=model)
    if len(job.models) > 1:
        yield disagreement_key(job, index, attempt=attempt)
