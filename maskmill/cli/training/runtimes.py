"""The worker's own runtimes, one after the other, for who checks a bundle before it is served."""

from __future__ import annotations

import os
from collections.abc import Iterator

from jobs.errors import ModelFailed
from storage.catalog import Bundle
from training.bring.publish import CannotRun, Runtime
from worker.engines import ENGINES, EngineRules, open_engine


def open_all(bundle: Bundle) -> Iterator[Runtime]:
    """Every runtime for processors that is installed here and for which the bundle has a file. Raises CannotRun.

    A worker takes the first of them and does not fall back, so each must run.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    rules = EngineRules(device="cpu", max_batch=2, streams=1, cpus=cpus)
    for name in ENGINES:
        try:
            yield open_engine(bundle, rules, engine=name)
        except ModelFailed as error:
            if error.__cause__ is None:  # not installed, or no file for it
                continue
            reason = (str(error.__cause__).splitlines() or [""])[0]
            raise CannotRun(f"{name} cannot open {bundle.card.name}: {reason}") from error
