"""Take a local stack's jobs, images, uploads and keys into the database and the store that the settings name."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from jobs.comparing.pages.wording import counted
from jobs.errors import DatabaseUnavailable, StorageUnavailable
from storage.migrate import DatabaseUnfit, reason, where
from storage.move.moving import Moved, MoveRefused, local_settings, move
from storage.settings import StorageSettings

BESIDE = ("models", "label-spaces", "mlflow.db")
ONCE_MORE = "nothing was moved yet: type the same once more, and it goes on"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m storage.move", description=__doc__)
    parser.add_argument("home", type=Path, help="the stack's folder, such as .maskmill; it stays as it is")
    source, target = local_settings(parser.parse_args(arguments).home), StorageSettings()
    try:
        moved = move(source, target, _tell)
    except (MoveRefused, DatabaseUnfit) as error:
        raise SystemExit(str(error)) from None
    except DatabaseUnavailable as error:
        raise SystemExit(f"{error} ({reason(error)}); {ONCE_MORE}") from None
    except StorageUnavailable as error:
        raise SystemExit(f"{error}; {ONCE_MORE}") from None
    _tell(_said(moved, target))
    if own := [name for name in BESIDE if target.home != source.home and (source.home / name).exists()]:
        _tell(f"what else is yours in {source.home}, copy to {target.home}: {', '.join(own)}")


def _said(moved: Moved, target: StorageSettings) -> str:
    parts = [] if moved.jobs is None else [f"{counted(moved.jobs, 'job')} in {where(target)}"]
    if moved.objects is not None:
        parts.append(f"{moved.objects} in {target.s3_bucket or target.home}")
    return "; ".join(parts)


def _tell(said: str) -> None:
    sys.stdout.write(f"{said}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
