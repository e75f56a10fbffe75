"""The choice among the engines of `segmentation/engines.py`. Their libraries are imported when a model is opened."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from jobs.errors import ModelFailed
from segmentation.accuracy import EXACT, accuracy_holds
from segmentation.engines import AUTO, ENGINES, engines_for
from storage.catalog import Bundle
from worker.engines.engine import Engine, EngineRules, Runtime
from worker.engines.processor import precisions, processor_flags

GPU_PRECISIONS = ("bf16", "fp32")
FIRST_GPU = "cuda:0"
DEVICES = Path("/dev")
MEND = "pip install 'maskmill-server[worker-gpu]' in an environment without onnxruntime (docs/how-to/use-a-gpu.md)"


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
    found, reasons = _looked_at(bundle, device, engine, precision)
    if not found:
        raise ModelFailed(f"{bundle.card.name} cannot be run on {device} here ({reasons})")
    kind = device.partition(":")[0]
    return [each for each in found if kind not in ENGINES[each[0]].spare_on] or found


def why_not(bundle: Bundle, device: str, *, engine: str = AUTO, precision: str = AUTO) -> str | None:
    """Why nothing here can run the bundle so; None when something can. Quick: fp32, where it may be, is asked first."""
    reasons = ""
    for tried in (EXACT, AUTO) if precision == AUTO else (precision,):
        found, why = _looked_at(bundle, device, engine, tried)
        if found:
            return None
        reasons = reasons or why
    return reasons


def unfit(bundles: Sequence[Bundle], device: str, *, engine: str = AUTO, precision: str = AUTO) -> Mapping[str, str]:
    """Name → why, of those that nothing here can run so. Raises ModelFailed when these are all that there are."""
    found = ((each.card.name, why_not(each, device, engine=engine, precision=precision)) for each in bundles)
    reasons = {name: why for name, why in found if why is not None}
    if reasons and len(reasons) == len(bundles):
        told = ", ".join(f"{name} ({why})" for name, why in reasons.items())
        mend = "" if device == "cpu" else f"; for a GPU: {MEND}"
        raise ModelFailed(f"no model can be run on {device} here: {told}{mend}")
    return reasons


def has_gpu() -> bool:
    """Whether a driver shows one: spares a machine without the import of torch."""
    return any(DEVICES.glob("nvidia[0-9]*"))


def find_device(wish: str, bundles: Sequence[Bundle] = (), *, engine: str = AUTO, precision: str = AUTO) -> str:
    """`auto` becomes cuda:0 where a GPU is, and an engine for it that reads one of these bundles, if any; else cpu."""
    if wish != AUTO:
        return FIRST_GPU if wish == "cuda" else wish
    if not has_gpu():
        return "cpu"
    if bundles:
        able = any(why_not(each, FIRST_GPU, engine=engine, precision=precision) is None for each in bundles)
    else:
        able = any(runtime_of(name).missing(FIRST_GPU) is None for name in engines_for("cuda"))
    return FIRST_GPU if able else "cpu"


def _looked_at(bundle: Bundle, device: str, engine: str, precision: str) -> tuple[list[tuple[str, str]], str]:
    """Engines and precisions that can run it, the preferred first, and why others cannot."""
    found, reasons = [], []
    for name, tried in _candidates(engine, precision, device):
        if precision == AUTO and not accuracy_holds(bundle.card.variants, engine=name, precision=tried):
            continue
        reason = _unfit(name, bundle, device, tried)
        if reason is None:
            found.append((name, tried))
        else:
            reasons.append(f"{name}: {reason}")
    return found, "; ".join(dict.fromkeys(reasons))


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
    "FIRST_GPU",
    "MEND",
    "Engine",
    "EngineRules",
    "Runtime",
    "find_device",
    "has_gpu",
    "load_in",
    "open_engine",
    "runtime_of",
    "unfit",
    "variants_here",
    "why_not",
]
