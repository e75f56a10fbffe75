"""The choice among the engines of `segmentation/engines.py`. Their libraries are imported when a model is opened."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

from jobs.errors import ModelFailed
from segmentation.accuracy import accuracy_holds
from segmentation.engines import AUTO, ENGINES, engines_for
from storage.catalog import Bundle
from worker.engines.engine import Engine, EngineRules, Runtime
from worker.engines.processor import precisions, processor_flags

GPU_PRECISIONS = ("bf16", "fp32")


def runtime_of(name: str) -> Runtime:
    """The code of an engine."""
    module, _, kind = ENGINES[name].runtime.partition(":")
    return cast(Runtime, getattr(importlib.import_module(module), kind)())


def load_in(name: str, bundle: Bundle, rules: EngineRules) -> Engine:
    """In this engine and the precision of the rules. Raises ModelFailed, ModelNotFound when a file is not there."""
    batch = min(rules.max_batch, bundle.card.max_batch or rules.max_batch)
    file = ENGINES[name].files[rules.precision]
    return runtime_of(name).load(bundle, replace(rules, file=file, max_batch=batch))


def open_engine(bundle: Bundle, rules: EngineRules, *, engine: str = AUTO, precision: str = AUTO) -> Engine:
    """Open the bundle in the named engine and precision, or in the preferred ones that can. Raises ModelFailed."""
    name, chosen = variants_here(bundle, rules.device, engine=engine, precision=precision)[0]
    return load_in(name, bundle, replace(rules, precision=chosen))


def variants_here(bundle: Bundle, device: str, *, engine: str = AUTO, precision: str = AUTO) -> list[tuple[str, str]]:
    """Engine and precision of everything that can run the bundle here, the preferred first.

    `auto` takes precisions that the processor has instructions for and whose accuracy the card says holds; a precision
    that is named may be any. Raises ModelFailed with every reason when there is none.
    """
    found, reasons = [], []
    for name, tried in _candidates(engine, precision, device):
        if precision == AUTO and not accuracy_holds(bundle.card.variants, engine=name, precision=tried):
            continue
        reason = _unfit(name, bundle, device, tried)
        if reason is None:
            found.append((name, tried))
        else:
            reasons.append(f"{name}: {reason}")
    if not found:
        why = "; ".join(dict.fromkeys(reasons))
        raise ModelFailed(f"{bundle.card.name} cannot be run on {device} here ({why})")
    kind = device.partition(":")[0]
    return [each for each in found if kind not in ENGINES[each[0]].spare_on] or found


def find_device(wish: str) -> str:
    """`auto` becomes cuda:0 where a GPU and an engine for it are, else cpu."""
    if wish != AUTO:
        return "cuda:0" if wish == "cuda" else wish
    if not any(Path("/dev").glob("nvidia[0-9]*")):
        return "cpu"  # spares a machine without GPU the import of torch
    return "cuda:0" if any(runtime_of(name).missing("cuda:0") is None for name in engines_for("cuda")) else "cpu"


def _candidates(engine: str, precision: str, device: str) -> Iterator[tuple[str, str]]:
    """Engine and precision, usually the fastest precision first, and in each the preferred engine."""
    order = GPU_PRECISIONS if device.startswith("cuda") else precisions(processor_flags())
    for tried in order if precision == AUTO else (precision,):
        for name in engines_for(device) if engine == AUTO else (engine,):
            yield name, tried


def _unfit(name: str, bundle: Bundle, device: str, precision: str) -> str | None:
    file = ENGINES[name].files.get(precision)
    if file is None:
        return f"does not compute in {precision}"
    if file not in bundle.card.files:
        return f"the bundle has no {file} file"
    return runtime_of(name).missing(device, precision)


__all__ = [
    "ENGINES",
    "Engine",
    "EngineRules",
    "Runtime",
    "find_device",
    "load_in",
    "open_engine",
    "runtime_of",
    "variants_here",
]
