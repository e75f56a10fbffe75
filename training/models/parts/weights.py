"""Weights from the hub or from a folder: safetensors files only, of one full commit, each checked before it is used.

The hub's client writes beside and moves into place, so a download that was cut off is never taken for the file.
"""

import hashlib
import json
import re
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError is of its HTTP client
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
)

from storage.catalog import file_sha256
from training.models.parts.errors import RevisionNotPinned, UnsafeWeights, WeightsDamaged, WeightsUnavailable

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"  # of weights in several files

_NOT_FETCHED = (HTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled, ConnectionError)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def require_commit(hub: str, revision: str | None) -> str:
    """Raises RevisionNotPinned for a branch, a tag or a short hash: what they name can change."""
    if revision is None or not _COMMIT.fullmatch(revision):
        raise RevisionNotPinned(
            f"weights of {hub}: revision is {revision!r}; allowed: a full commit, 40 lower-case hexadecimal digits"
        )
    return revision


def fetch_file(hub: str, name: str, *, revision: str | None) -> Path:
    """One file of a repository, from the local cache or fetched into it. Raises WeightsUnavailable, WeightsDamaged."""
    commit = require_commit(hub, revision)
    try:
        path = Path(huggingface_hub.hf_hub_download(hub, name, revision=commit))
    except _NOT_FETCHED as error:
        raise WeightsUnavailable(f"{name} of {hub} at {commit} cannot be fetched: {_first_line(error)}") from error
    _verify(path)
    return path


def fetch_model(hub: str, *, revision: str | None, weights: bool = True) -> Path:
    """The folder of a transformers model: its configuration and, when `weights`, its safetensors files.

    Raises UnsafeWeights for a repository without safetensors, and what `fetch_file` raises.
    """
    folder = fetch_file(hub, CONFIG, revision=revision).parent
    if weights:
        _fetch_weights(hub, revision)
    return folder


def check_folder(folder: Path, *, weights: bool = True) -> Path:
    """A folder as `save_pretrained` writes it. Raises WeightsUnavailable and UnsafeWeights."""
    if not (folder / CONFIG).is_file():
        raise WeightsUnavailable(f"folder {folder} has no {CONFIG}")
    if weights and not ((folder / WEIGHTS).is_file() or (folder / INDEX).is_file()):
        found = ", ".join(sorted(path.name for path in folder.iterdir()))
        raise UnsafeWeights(
            f"folder {folder} has neither {WEIGHTS} nor {INDEX}, and pickles are not read; it has: {found}"
        )
    return folder


def _fetch_weights(hub: str, revision: str | None) -> None:
    """One file, or those that the index names."""
    if _fetch_if_there(hub, WEIGHTS, revision) is not None:
        return
    index = _fetch_if_there(hub, INDEX, revision)
    if index is None:
        raise UnsafeWeights(f"{hub} at {revision} has no {WEIGHTS}, and pickles are not read")
    names = set(json.loads(index.read_bytes())["weight_map"].values())
    strange = [name for name in names if Path(name).name != name or not name.endswith(".safetensors")]
    if strange:
        raise UnsafeWeights(f"{INDEX} of {hub} names {strange[0]!r}, which is no safetensors file beside it")
    for name in sorted(names):
        fetch_file(hub, name, revision=revision)


def _fetch_if_there(hub: str, name: str, revision: str | None) -> Path | None:
    """None when the hub answers that the commit has no such file."""
    try:
        return fetch_file(hub, name, revision=revision)
    except WeightsUnavailable as error:
        if isinstance(error.__cause__, RemoteEntryNotFoundError):
            return None
        raise


def _verify(path: Path) -> None:
    """In the hub's cache a file is named by its checksum: SHA-256 of a large file, git's own of a small one."""
    expected = path.resolve().name
    if _SHA256.fullmatch(expected):
        got = file_sha256(path)
    elif _COMMIT.fullmatch(expected):
        content = path.read_bytes()
        got = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    else:  # a cache without links: the commit alone names the content
        return
    if got != expected:
        path.resolve().unlink()
        path.unlink()
        raise WeightsDamaged(f"{path.name} has the checksum {got} instead of {expected}; deleted, fetch it again")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
