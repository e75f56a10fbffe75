"""ONNX files in ONNX Runtime: wherever it is installed, on processors, and on NVIDIA GPUs with its GPU package."""

from __future__ import annotations

import importlib.util
from typing import Any, cast

import numpy as np

from storage.catalog import Bundle
from worker.engines.engine import Engine, EngineRules, Tensor, failure_of


class OnnxRuntime:
    def missing(self, device: str, precision: str = "fp32") -> str | None:
        if importlib.util.find_spec("onnxruntime") is None:
            return "the package onnxruntime is not installed"
        return None if device == "cpu" or _has_cuda() else "the package onnxruntime-gpu is not installed"

    def load(self, bundle: Bundle, rules: EngineRules) -> Engine:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(1, rules.cpus // rules.streams)
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = onnxruntime.InferenceSession(bundle.file(rules.file), options, providers=_providers(rules.device))
        except _errors() as error:
            raise failure_of(error, bundle.card.name) from error
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


def _providers(device: str) -> list[Any]:
    if device == "cpu":
        return ["CPUExecutionProvider"]
    return [("CUDAExecutionProvider", {"device_id": int(device.partition(":")[2] or 0)}), "CPUExecutionProvider"]


def _has_cuda() -> bool:
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def _errors() -> tuple[type[Exception], ...]:
    """Its exceptions have no common base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    named = [each for each in vars(state).values() if isinstance(each, type) and issubclass(each, Exception)]
    return (*named, RuntimeError, ValueError, OSError, MemoryError)
