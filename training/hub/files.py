"""Which commit of a hub model to take, and its files: found by name, accepted by the user, checked. Never a pickle.

torch is imported when there is something to fetch: who has no network is told at once.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Protocol

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError is of its HTTP client
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

PICTURES = "preprocessor_config.json"  # how the model wants its pictures
MODEL_CARD = "README.md"  # what its authors say of it

_COMMIT = re.compile(r"[0-9a-f]{40}")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")


class HubError(Exception):
    """`code` is stable, for programs.

    HubError
    ├── HubUnreachable      nobody answers
    ├── HubNotFound         no such repository or commit, or it is not open to all
    ├── PicklesOnly         the commit holds weights, but not as safetensors
    └── CommitNotAccepted   the commit is not pinned, and nobody has accepted it
    """

    code: ClassVar[str] = "hub_error"


class HubUnreachable(HubError):
    code = "hub_unreachable"


class HubNotFound(HubError):
    code = "hub_not_found"


class PicklesOnly(HubError):
    code = "hub_pickles_only"


class CommitNotAccepted(HubError):
    code = "hub_commit_not_accepted"


class Repository(Protocol):
    """What is known of a model's commit; as an entry of the catalogue has it."""

    @property
    def hub(self) -> str: ...
    @property
    def revision(self) -> str: ...
    @property
    def ref(self) -> str: ...
    @property
    def commit_begins(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What the user allows. revision: a commit, branch or pull request to take instead of the catalogue's.

    accepted: the full commit that the user has seen and takes. unpinned: whatever is there now.
    """

    revision: str | None = None
    accepted: str | None = None
    unpinned: bool = False


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of a repository with safetensors. weight_bytes: what there is to download. because: why it is taken."""

    hub: str
    sha: str
    names: tuple[str, ...]  # of its files
    weight_bytes: int
    because: str = ""


def choose_commit(model: Repository, consent: Consent) -> Commit:
    """Ask the hub; a full commit that is in its cache already does without an answer.

    Raises HubUnreachable, HubNotFound, PicklesOnly, CommitNotAccepted.
    """
    wanted = consent.revision or model.revision or model.ref
    try:
        found = look_up(model.hub, wanted)
    except HubUnreachable:
        kept = _cached(model.hub, wanted)
        if kept is None:
            raise
        found = kept
    return replace(found, because=_reason(model, consent, wanted, found.sha))


def look_up(hub: str, revision: str) -> Commit:
    """What `revision` is now, and that it holds safetensors. Raises HubUnreachable, HubNotFound, PicklesOnly."""
    info = _ask(hub, revision)
    files = {each.rfilename: each.size or 0 for each in info.siblings or ()}
    weights = [name for name in files if name.endswith(".safetensors") and "/" not in name]
    if not weights:
        pickles = [name for name in files if name.endswith(_PICKLES)]
        raise PicklesOnly(
            f"{hub} at {revision} ({info.sha}) has no safetensors, only {', '.join(pickles) or 'no weights at all'}; "
            "a pickle can run any program when it is opened, so Maskmill opens none. The hub's converter offers a "
            "copy without them as a pull request of some repositories: name it with --revision refs/pr/N"
        )
    if not info.sha or not _COMMIT.fullmatch(info.sha):
        raise HubNotFound(f"the hub does not say which commit {revision} of {hub} is")
    return Commit(hub, info.sha, tuple(files), sum(files[name] for name in weights))


def fetch(commit: Commit) -> Path:
    """The folder with its configuration and weights, from the hub's cache or downloaded into it, checksums verified.

    Raises the errors of `models.parts.errors`. A download that breaks off is resumed the next time, never used.
    """
    from training.models.parts.weights import fetch_file, fetch_model

    folder = fetch_model(commit.hub, revision=commit.sha)
    if PICTURES in commit.names:
        fetch_file(commit.hub, PICTURES, revision=commit.sha)
    return folder


def fetch_model_card(commit: Commit) -> Path | None:
    """Its folder; None where there is none. Raises as `fetch`."""
    from training.models.parts.weights import fetch_file

    return fetch_file(commit.hub, MODEL_CARD, revision=commit.sha).parent if MODEL_CARD in commit.names else None


def _cached(hub: str, commit: str) -> Commit | None:
    if not _COMMIT.fullmatch(commit):
        return None
    weights = huggingface_hub.try_to_load_from_cache(hub, "model.safetensors", revision=commit)
    if not isinstance(weights, str):
        return None
    names = tuple(sorted(path.name for path in Path(weights).parent.iterdir()))
    return Commit(hub, commit, names, Path(weights).stat().st_size)


def _reason(model: Repository, consent: Consent, wanted: str, sha: str) -> str:
    """Why this commit is taken. Raises CommitNotAccepted."""
    if consent.accepted is not None:
        if consent.accepted != sha:
            raise CommitNotAccepted(f"{model.hub} at {wanted} is commit {sha} now, not {consent.accepted}")
        return "accepted by you"
    if sha == wanted:
        return "pinned by the catalogue" if consent.revision is None else "named by you"
    if consent.revision is None and model.commit_begins and sha.startswith(model.commit_begins):
        return f"{wanted} is still {model.commit_begins}…, as the catalogue says"
    if consent.unpinned:
        return f"what {wanted} is now, unpinned"
    known = f"; the catalogue knows {model.commit_begins}…" if consent.revision is None and model.commit_begins else ""
    raise CommitNotAccepted(
        f"{model.hub} at {wanted} is commit {sha}, which nobody has pinned{known}. Look at "
        f"{constants.ENDPOINT}/{model.hub}/tree/{sha}, then take it with --accept-revision {sha}, "
        "or take whatever is there with --unpinned"
    )


def _ask(hub: str, revision: str) -> huggingface_hub.ModelInfo:
    try:
        return huggingface_hub.HfApi().model_info(hub, revision=revision, files_metadata=True, timeout=20)
    except GatedRepoError as error:
        raise HubNotFound(f"{hub} is open only to who accepted its terms there (`hf auth login`)") from error
    except RepositoryNotFoundError as error:
        raise HubNotFound(f"the hub has no repository {hub} that is open to all") from error
    except RevisionNotFoundError as error:
        raise HubNotFound(f"{hub} has no revision {revision}") from error
    except HfHubHTTPError as error:
        raise HubUnreachable(f"the hub answers {error.response.status_code} for {hub}; {_MEANWHILE}") from error
    except (HTTPError, OfflineModeIsEnabled, OSError) as error:
        place = constants.ENDPOINT
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise HubUnreachable(f"{place} cannot be reached ({reason}); {_MEANWHILE}") from error


_MEANWHILE = (
    "models that are here already keep working (`maskmill models list --local`), and a folder that was fetched "
    "elsewhere can be taken with --folder DIR"
)
