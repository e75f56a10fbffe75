"""ONNX files in OpenVINO: the fastest of the CPU runtimes, in bf16 where the processor has it, or quantised."""

from __future__ import annotations

import functools
import importlib.util
import threading
from collections import OrderedDict
from queue import Empty, LifoQueue
from typing import Any, cast

import numpy as np

from storage.catalog import Bundle
from worker.engines.engine import Engine, EngineRules, Tensor, failure_of

# Several threads that make the process's first inference together can hang OpenVINO 2026.4 for ever, so every compiled
# model is run once by one thread alone before others see it.
_WARM_UP = threading.Lock()

_SHAPES_BYTES = 2**30  # for the compiled copies of one model together, estimated
_MOST_SHAPES = 16

# What the parts of the graph that are not quantised are computed in.
_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}


class OpenVino:
    def missing(self, device: str, precision: str = "fp32") -> str | None:
        if device != "cpu":
            return "runs on processors only"
        if importlib.util.find_spec("openvino") is None:
            return "the package openvino is not installed"
        return None if precision != "bf16" or _has_bf16() else "this processor has no instructions for bf16"

    def answers(self, device: str) -> bool:
        return True  # processors do

    def load(self, bundle: Bundle, rules: EngineRules) -> Engine:
        try:
            model = _core().read_model(bundle.file(rules.file))
        except (RuntimeError, OSError) as error:
            raise failure_of(error, bundle.card.name) from error
        return _OpenVinoEngine(bundle, model, rules)


class _OpenVinoEngine:
    """Compiles the graph once per input shape: a dynamic one is almost twice as slow. The latest shapes are kept."""

    def __init__(self, bundle: Bundle, model: Any, rules: EngineRules) -> None:
        self._name = bundle.card.name
        self._model = model
        self._rules = rules
        self._most = max(2, min(_MOST_SHAPES, _SHAPES_BYTES // (8 * bundle.card.parameters)))
        self._lock = threading.Lock()
        self._compiled: OrderedDict[tuple[int, ...], _Compiled] = OrderedDict()

    @property
    def device(self) -> str:
        return f"openvino cpu {self._rules.precision}"

    @property
    def file(self) -> str:
        return self._rules.file

    @property
    def max_batch(self) -> int:
        return self._rules.max_batch

    def run(self, batch: Tensor) -> Tensor:
        try:
            if len(batch) not in (1, self.max_batch):  # spares a compiled model for each smaller batch
                return np.concatenate([self._compiled_for((1, *one.shape)).run(one[None]) for one in batch])
            return self._compiled_for(batch.shape).run(batch)
        except (RuntimeError, MemoryError) as error:
            raise failure_of(error, self._name) from error

    def close(self) -> None:
        with self._lock:
            self._compiled.clear()

    def _compiled_for(self, shape: tuple[int, ...]) -> _Compiled:
        with self._lock:
            found = self._compiled.get(shape)
            if found is None:
                found = self._compiled[shape] = _Compiled()
            self._compiled.move_to_end(shape)
            while len(self._compiled) > self._most:
                self._compiled.popitem(last=False)
        found.ensure(lambda: self._compile(shape))
        return found

    def _compile(self, shape: tuple[int, ...]) -> Any:
        model = self._model.clone()
        model.reshape(list(shape))
        options = {
            "NUM_STREAMS": self._rules.streams,
            "INFERENCE_NUM_THREADS": self._rules.cpus,
            "ENABLE_CPU_PINNING": False,  # two processes would be pinned to the same cores
            "INFERENCE_PRECISION_HINT": _HINTS[self._rules.precision],
        }
        with _WARM_UP:
            compiled = _core().compile_model(model, "CPU", options)
            compiled.create_infer_request().infer({0: np.zeros(shape, np.float32)})
        return compiled


class _Compiled:
    """One compiled shape with the requests that threads take turns with."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._model: Any = None
        self._requests: LifoQueue[Any] = LifoQueue()

    def ensure(self, compile_model: Any) -> None:
        """The first caller compiles, others of this shape wait, other shapes go on."""
        with self._lock:
            if self._model is None:
                self._model = compile_model()

    def run(self, batch: Tensor) -> Tensor:
        try:
            request = self._requests.get_nowait()
        except Empty:
            request = self._model.create_infer_request()
        try:
            request.infer({0: np.ascontiguousarray(batch, np.float32)}, share_inputs=True)
            return cast(Tensor, np.array(request.get_output_tensor(0).data, dtype=np.float32))
        finally:
            self._requests.put(request)


def _has_bf16() -> bool:
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@functools.cache
def _core() -> Any:
    import openvino

    return openvino.Core()
