"""Line coverage of `make test-fast`: each process writes down at its end which lines it ran.

slipcover puts probes into the bytecode and takes them out when they were passed, so that what is measured takes no
longer (a trace function, as Python 3.11 has it, doubles the processor time of these tests). Its own way into pytest
imports a package's `__init__.py` as a module without a path (1.1), so its parts are put together here.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CENTRE = ("jobs", "segmentation")
OTHERS = ("api", "broker", "dashboard", "data", "maskmill", "scenes", "storage", "telemetry", "training", "worker")
FOLDER = "COVERAGE_FOLDER"
PASSES = 1000  # of a probe, before all that were passed are taken out, for which every function is looked at


class Coverage:
    """Of what is imported from now on."""

    def __init__(self, folder: Path) -> None:
        from slipcover import FileMatcher, Slipcover
        from slipcover.config import read_config
        from slipcover.importer import SlipcoverMetaPathFinder

        class Finder(SlipcoverMetaPathFinder):  # type: ignore[misc]  # slipcover tells no types
            """What is not ours is left to whoever would have found it."""

            def find_spec(
                self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
            ) -> ModuleSpec | None:
                is_ours = fullname.partition(".")[0] in (*CENTRE, *OTHERS)
                return super().find_spec(fullname, path, target) if is_ours else None

        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        sources = [str(ROOT / name) for name in (*CENTRE, *OTHERS)]
        exclude = read_config(ROOT / "pyproject.toml")["exclude-also"]
        self._lines = Slipcover(source=sources, exclude_also=exclude, d_miss_threshold=PASSES)
        sys.meta_path.insert(0, Finder(self._lines, FileMatcher(sources)))

    def write(self, process: str) -> None:
        """`centre-*.json` and `others-*.json`, as `python -m slipcover --merge` reads them."""
        measured: dict[str, Any] = self._lines.get_coverage()
        for name, packages in (("centre", CENTRE), ("others", OTHERS)):
            files = {path: lines for path, lines in measured["files"].items() if path.split("/")[0] in packages}
            content = json.dumps({**measured, "files": files})
            (self._folder / f"{name}-{process}.json").write_text(content)


COVERAGE = Coverage(ROOT / os.environ[FOLDER]) if FOLDER in os.environ else None
