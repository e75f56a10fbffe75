"""The note in a run's folder that says which run of MLflow it is."""

import json
from pathlib import Path
from urllib.parse import urlsplit

NOTE = "mlflow.json"


def run_of(folder: Path, uri: str) -> str | None:
    """The id of a run's folder in the MLflow at `uri`; None when it was never tracked there."""
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return note.get("run_id") if note.get("uri") == without_credentials(uri) else None


def write_note(folder: Path, uri: str, run_id: str) -> None:
    part = folder / f".{NOTE}"
    part.write_text(json.dumps({"uri": without_credentials(uri), "run_id": run_id}, indent=1), encoding="utf-8")
    part.replace(folder / NOTE)


def told(error: Exception, uri: str) -> str:
    """What MLflow says, which names its address in full."""
    return str(error).replace(uri, without_credentials(uri))


def without_credentials(uri: str) -> str:
    """As it may be written down and shown."""
    parts = urlsplit(uri)
    if "@" not in parts.netloc:
        return uri
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
