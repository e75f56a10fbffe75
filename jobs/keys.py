"""Names in the object store. A key depends on the image and the format alone, so a rerun overwrites itself.

Also how a source of kind `sample` names a sample's ground truth.
"""

from __future__ import annotations

import secrets
import time

SAMPLE_MASK_SUFFIX = "#mask"
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_job_id(*, now_ms: int | None = None) -> str:
    """`job_` and a ULID, so that ids sort by creation time.

    Source: the ULID specification (48 bits of milliseconds, 80 of chance, Crockford's base 32).
    """
    milliseconds = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    value = (milliseconds << 80) | secrets.randbits(80)
    return "job_" + "".join(_CROCKFORD[(value >> shift) & 31] for shift in range(125, -1, -5))


def sample_mask(sample_id: str) -> str:
    """The location of a sample's ground truth, for a source of kind `sample`; its picture's is the id itself."""
    return sample_id + SAMPLE_MASK_SUFFIX


def job_prefix(job_id: str) -> str:
    return f"jobs/{job_id}/"


def input_key(job_id: str, index: int) -> str:
    return f"{job_prefix(job_id)}inputs/{index:06d}"


def truth_key(job_id: str, index: int) -> str:
    return f"{job_prefix(job_id)}truth/{index:06d}"


def artifact_key(job_id: str, index: int, artifact: str) -> str:
    return f"{job_prefix(job_id)}{artifact}/{index:06d}"
