"""ONNX files in ONNX Runtime: wherever it is installed, on processors, and on NVIDIA GPUs with its GPU package."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import sys
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

import numpy as np

from jobs.errors import ModelFailed
from storage.catalog import Bundle
from worker.engines.engine import Engine, EngineRules, Tensor, failure_of

CUDA = "CUDAExecutionProvider"


class OnnxRuntime:
    def missing(self, device: str, precision: str = "fp32") -> str | None:
        if importlib.util.find_spec("onnxruntime") is None:
            return "the package onnxruntime is not installed"
        return None if device == "cpu" else _kept_from(device)

    def answers(self, device: str) -> bool:
        return _runs_on(device)

    def load(self, bundle: Bundle, rules: EngineRules) -> Engine:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(1, rules.cpus // rules.streams)
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = _open_session(bundle.file(rules.file), rules.device, options)
        except _errors() as error:
            raise failure_of(error, bundle.card.name) from error
        if not _is_on(session, rules.device):
            raise ModelFailed(f"onnxruntime does not run {bundle.card.name} on {rules.device}: its log says why")
        return _OnnxEngine(bundle.card.name, session, rules)


class _OnnxEngine:
    """Takes any shape. Its memory grows with the calls side by side, so their number is bounded outside."""

    def __init__(self, name: str, session: Any, rules: EngineRules) -> None:
        self._name = name
        self._session = session
        self._rules = rules
        self._input = session.get_inputs()[0].name
        self._errors = _errors()

    @property
    def device(self) -> str:
        return f"onnxruntime {self._rules.device} {self._rules.precision}"

    @property
    def file(self) -> str:
        return self._rules.file

    @property
    def max_batch(self) -> int:
        return self._rules.max_batch

    def run(self, batch: Tensor) -> Tensor:
        try:
            (logits,) = self._session.run(None, {self._input: batch})
        except self._errors as error:
            raise failure_of(error, self._name) from error
        return cast(Tensor, np.asarray(logits, np.float32))

    def close(self) -> None:
        self._session = None


@functools.cache
def _kept_from(device: str) -> str | None:
    """Why it does not run on this GPU; None when it does. Its GPU package names CUDA on every machine, and opens models
    on the processor where driver or libraries are missing: only one that ran there tells."""
    import onnxruntime

    has_package = _is_installed("onnxruntime-gpu")
    if not has_package and CUDA not in onnxruntime.get_available_providers():
        return "the package onnxruntime-gpu is not installed"
    if _runs_on(device):
        return None
    if has_package and _is_installed("onnxruntime"):
        return "the packages onnxruntime and onnxruntime-gpu are both installed, and each overwrites the other"
    return f"onnxruntime-gpu finds no GPU, driver or CUDA library for {device}, as it logged"


def _runs_on(device: str) -> bool:
    """Tried with a multiplication that comes with the package."""
    from onnxruntime.datasets import get_example

    try:
        session = _open_session(get_example("mul_1.onnx"), device)
        session.run(None, {session.get_inputs()[0].name: np.ones((3, 2), np.float32)})
    except _errors():
        return False
    return _is_on(session, device)


def _open_session(path: str | Path, device: str, options: Any = None) -> Any:
    """Where the GPU cannot be used it is one on the processor, see `_is_on`."""
    import onnxruntime

    if device != "cpu":
        _find_cuda_libraries()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a provider that is not there
        session = onnxruntime.InferenceSession(path, options, providers=_providers(device))
    session.disable_fallback()  # a GPU that fails must not become a processor in silence
    return session


def _providers(device: str) -> list[Any]:
    if device == "cpu":
        return ["CPUExecutionProvider"]
    options = {
        "device_id": device.partition(":")[2] or "0",
        "use_tf32": "0",  # fp32 is what the other precisions are compared with, and what a processor answers too
        "cudnn_conv_algo_search": "HEURISTIC",  # shapes and batches change all the time: no search for each of them
    }
    return [(CUDA, options), "CPUExecutionProvider"]


def _is_on(session: Any, device: str) -> bool:
    return device == "cpu" or CUDA in session.get_providers()


@functools.cache
def _find_cuda_libraries() -> None:
    """Those that pip installed lie where no loader looks. It prints which are not there: not among a command's JSON."""
    import onnxruntime

    with contextlib.redirect_stdout(sys.stderr):
        onnxruntime.preload_dlls()


def _is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def _errors() -> tuple[type[Exception], ...]:
    """Its exceptions have no common base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    named = [each for each in vars(state).values() if isinstance(each, type) and issubclass(each, Exception)]
    return (*named, RuntimeError, ValueError, OSError, MemoryError)
