"""How models run fastest on machines: measured once, kept beside each model, read by workers and by who tells of them.

A file for each machine, software and wish: `<bundle>/.tuned/<digest>.json`; below the home folder for a bundle whose
folder cannot be written or came with the package; in memory alone where the home cannot be written either.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import data
from storage.catalog import Bundle
from storage.settings import StorageSettings

logger = logging.getLogger(__name__)

FOLDER = ".tuned"
PACKAGED = Path(data.__file__).parent
LOOK_S = 0.05

Circumstances = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a model can be run. streams: calls side by side; threads: of the processor, for each of them."""

    engine: str
    precision: str
    streams: int
    threads: int

    @property
    def variant(self) -> str:
        """For people: `openvino int8`."""
        return f"{self.engine} {self.precision}"

    def __str__(self) -> str:
        return f"{self.variant}, {self.streams} × {self.threads} threads"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """median_ms: milliseconds a picture over all streams; rounds: of how many."""

    way: Way
    median_ms: float
    rounds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """of: where and for what it was measured. timed: all that took part; left_out: for which there was no time."""

    way: Way
    of: Circumstances
    timed: tuple[Timed, ...]
    left_out: tuple[str, ...] = ()
    measured_at: str

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Tuning:
        """Raises ValueError, TypeError, KeyError, AttributeError for what is none."""
        value: dict[str, Any] = json.loads(text)
        timed = tuple(Timed(**{**each, "way": Way(**each["way"])}) for each in value["timed"])
        given = {**value, "way": Way(**value["way"]), "timed": timed, "left_out": tuple(value["left_out"])}
        return cls(**given)


def bundle_digest(bundle: Bundle) -> str:
    """Of its card, which holds the digests of its files: another one when anything of the bundle is another."""
    return hashlib.sha256(bundle.card.to_json().encode()).hexdigest()


class Tunings:
    """Safe for many threads and processes."""

    def __init__(self, home: Path) -> None:
        """home: where the lock lies, and what cannot lie beside its model."""
        self._home = home / "tuned"
        self._remembered: dict[str, Tuning] = {}

    def find(self, bundle: Bundle, of: Circumstances) -> Tuning | None:
        """What was kept for exactly these circumstances."""
        name = _name(of)
        if (remembered := self._remembered.get(name)) is not None:
            return remembered
        found = (_read(folder / name) for folder in self._folders(bundle))
        return next((each for each in found if each is not None and each.of == of), None)

    def latest(self, bundle: Bundle) -> Tuning | None:
        """The newest for this bundle, wherever it was measured: for who only tells of it."""
        paths = (path for folder in self._folders(bundle) for path in folder.glob("*.json"))
        digest = bundle_digest(bundle)
        found = [each for each in map(_read, paths) if each is not None and each.of.get("bundle") == digest]
        return max(found, key=lambda each: each.measured_at, default=None)

    def variant(self, bundle: Bundle | None) -> str | None:
        """What of it was fastest, as `openvino int8`; None where nothing was measured."""
        found = None if bundle is None else self.latest(bundle)
        return None if found is None else found.way.variant

    def keep(self, bundle: Bundle, tuning: Tuning) -> Path | None:
        """Where it is now; None when it could only be remembered."""
        name = _name(tuning.of)
        for folder in self._folders(bundle):
            with contextlib.suppress(OSError):
                path = _write(folder, name, tuning.to_json())
                self._remembered.pop(name, None)
                return path
        self._remembered[name] = tuning
        return None

    @contextlib.contextmanager
    def turn(self, *, limit_s: float) -> Iterator[bool]:
        """One process of the machine at a time: others would disturb its measuring, or measure the same.

        Gives False when another one takes longer than `limit_s`, True otherwise; also where there can be no lock.
        """
        with contextlib.ExitStack() as stack:
            try:
                self._home.mkdir(parents=True, exist_ok=True)
                lock = stack.enter_context((self._home / "lock").open("ab"))
            except OSError:
                yield True
                return
            yield _locked(lock.fileno(), limit_s)

    def _folders(self, bundle: Bundle) -> Sequence[Path]:
        """In the order in which they are tried. A folder of versions may be swapped: the digest is in the name."""
        ours = self._home / f"{bundle.card.name}-{bundle_digest(bundle)[:12]}"
        packaged = bundle.folder.resolve().is_relative_to(PACKAGED)
        return [ours] if packaged else [bundle.folder / FOLDER, ours]


def open_tunings(settings: StorageSettings) -> Tunings:
    return Tunings(settings.home)


def _name(of: Circumstances) -> str:
    return hashlib.sha256(json.dumps(dict(of), sort_keys=True).encode()).hexdigest()[:16] + ".json"


def _read(path: Path) -> Tuning | None:
    try:
        return Tuning.from_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        logger.warning("%s cannot be read and is passed over: %s", path, error, extra={"action": "tuning_unreadable"})
        return None


def _write(folder: Path, name: str, text: str) -> Path:
    """Readers see the old file or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{secrets.token_hex(8)}"
    try:
        part.write_text(text, encoding="utf-8")
        return part.replace(folder / name)
    finally:
        part.unlink(missing_ok=True)


def _locked(descriptor: int, limit_s: float) -> bool:
    ends = time.monotonic() + limit_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= ends:
                return False
            time.sleep(LOOK_S)
        except OSError:  # a file system without locks
            return True
        else:
            return True
