"""On which device a worker with these settings would run models here, and which of them it could not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from maskmill.doctor.findings import Finding, State
from maskmill.installed import how_to_install

if TYPE_CHECKING:
    from storage.catalog import Bundle

GROUP = "Models"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """unfit: name → why, of those that cannot be run there. refused: so that a worker does not start. mend: what to do.
    gpu_unused: why the GPU that is here is left alone."""

    device: str
    unfit: Mapping[str, str]
    refused: bool
    mend: str
    gpu_unused: str | None = None

    def finding(self, name: str, said: str) -> Finding:
        """Of a model of `unfit`. said: what it is."""
        else_runs = "" if self.device == "cpu" else "; runs on the processor"
        state: State = "bad" if self.refused else "absent"
        what = f"cannot be run on {self.device}: {self.unfit[name]}"
        then = "; a worker does not start" if self.refused else else_runs
        return Finding(group=GROUP, name=name, state=state, said=f"{said}; {what}{then}", mend=self.mend)

    def gpu(self) -> Iterator[Finding]:
        """Where there is one that is left alone."""
        if self.gpu_unused is not None:
            said = f"not used: {self.gpu_unused}"
            yield Finding(group=GROUP, name="on the GPU", state="absent", said=said, mend=self.mend)


def placed(bundles: Sequence[Bundle]) -> Placement:
    """As the environment's settings say. Opens no model of them."""
    from segmentation.engines import AUTO
    from worker.engines import FIRST_GPU, find_device, has_gpu, why_not
    from worker.settings import WorkerSettings

    settings = WorkerSettings()
    wishes = {"engine": settings.engine, "precision": settings.precision}
    device = find_device(settings.device, bundles, **wishes)
    reasons = {each.card.name: why_not(each, device, **wishes) for each in bundles}
    unfit = {name: why for name, why in reasons.items() if why is not None}
    refused = bool(unfit) and len(unfit) == len(bundles) and not settings.follow
    left = bundles and device == "cpu" and {settings.device, settings.engine} == {AUTO} and has_gpu()
    unused = why_not(bundles[0], FIRST_GPU, **wishes) if left else None
    if settings.engine != AUTO:
        mend = "leave MASKMILL_WORKER_ENGINE out: `auto` takes whichever can"
    else:
        mend = how_to_install("worker-gpu" if left or device != "cpu" else "worker")
    return Placement(device=device, unfit=unfit, refused=refused, mend=mend, gpu_unused=unused)
