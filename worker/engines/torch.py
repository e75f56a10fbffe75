"""TorchScript files in PyTorch: bf16 and channels-last on a GPU, float32 on a processor as the last resort."""

from __future__ import annotations

import importlib.util
import warnings
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, cast

from storage.catalog import Bundle
from worker.engines.engine import Engine, EngineRules, Tensor, failure_of

AMPERE = (8, 0)  # the first that computes in bf16; older ones only imitate it


class Torch:
    def missing(self, device: str, precision: str = "fp32") -> str | None:
        if importlib.util.find_spec("torch") is None:
            return "the package torch is not installed"
        if device == "cpu":
            return None if precision == "fp32" else f"computes in {precision} on GPUs only"
        import torch

        if not torch.cuda.is_available() or (torch.device(device).index or 0) >= torch.cuda.device_count():
            return f"torch finds no {device}"
        has_bf16 = precision != "bf16" or torch.cuda.get_device_capability(device) >= AMPERE
        return None if has_bf16 else "this GPU has no instructions for bf16"

    def answers(self, device: str) -> bool:
        import torch

        try:
            return float(torch.ones(2, device=device).sum()) == 2.0
        except RuntimeError:
            return False

    def load(self, bundle: Bundle, rules: EngineRules) -> Engine:
        import torch

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript is frozen, not gone
                read: Any = torch.jit.load
                module = read(str(bundle.file(rules.file)), map_location=rules.device).float().eval()  # stored in half
            if rules.device != "cpu":
                module = module.to(memory_format=torch.channels_last)
        except (RuntimeError, ValueError, OSError) as error:
            raise failure_of(error, bundle.card.name) from error
        torch.set_num_threads(max(1, rules.cpus // rules.streams))
        return _TorchEngine(bundle.card.name, module, rules)


class _TorchEngine:
    def __init__(self, name: str, module: Any, rules: EngineRules) -> None:
        self._name = name
        self._module = module
        self._rules = rules
        self._on_gpu = rules.device != "cpu"

    @property
    def device(self) -> str:
        return f"torch {self._rules.device} {self._rules.precision}"

    @property
    def file(self) -> str:
        return self._rules.file

    @property
    def max_batch(self) -> int:
        return self._rules.max_batch

    def run(self, batch: Tensor) -> Tensor:
        import torch

        try:
            with torch.inference_mode(), self._precision():
                pixels = torch.from_numpy(batch)
                if self._on_gpu:
                    pixels = pixels.to(self._rules.device, memory_format=torch.channels_last)
                return cast(Tensor, self._module(pixels).float().contiguous().cpu().numpy())
        except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is one of the first
            self._give_back()
            raise failure_of(error, self._name) from error

    def close(self) -> None:
        self._module = None
        self._give_back()

    def _give_back(self) -> None:
        """Memory of the GPU. One that is lost raises here, too."""
        if self._on_gpu:
            import torch

            with suppress(RuntimeError):
                torch.cuda.empty_cache()

    def _precision(self) -> AbstractContextManager[object]:
        import torch

        return torch.autocast("cuda", dtype=torch.bfloat16) if self._rules.precision == "bf16" else nullcontext()
