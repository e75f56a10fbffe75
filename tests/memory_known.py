"""What is known of pictures, in memory: a `jobs.reuse.known.KnownRepository`."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from jobs.job import Job
from jobs.ports import Outcome
from jobs.reuse.known import Known
from jobs.reuse.recipe import kinds_of
from tests.memory_state import State, View


class MemoryKnown:
    def __init__(self, view: View) -> None:
        self._state = view.state

    def is_any(self, tenant: str, recipes: Collection[bytes]) -> bool:
        return any(key[0] == tenant and key[1] in recipes for key in self._state.known)

    def find(self, tenant: str, recipes: Collection[bytes], inputs: Collection[str]) -> Sequence[Known]:
        newest: dict[tuple[bytes, str, str], Known] = {}
        for (owner, recipe, sha256, kinds, job_id), (index, model) in sorted(self._state.known.items()):
            asked = owner == tenant and recipe in recipes and sha256 in inputs
            if asked and job_id in self._state.jobs and job_id not in self._state.hidden:
                newest[recipe, sha256, kinds] = Known(
                    recipe=recipe,
                    input_sha256=sha256,
                    kinds=frozenset(kinds.split(",")),
                    image=self._state.images[job_id][index],
                    model=model,
                )
        return list(newest.values())


def remember(state: State, job: Job, outcomes: Collection[Outcome]) -> None:
    kinds = ",".join(sorted(kinds_of(job.options).values()))
    for outcome in outcomes:
        for model, recipe in enumerate(outcome.recipes if outcome.input_sha256 else ()):
            key = (job.tenant, recipe, outcome.input_sha256 or "", kinds, job.id)
            state.known.setdefault(key, (outcome.index, model))


def forget_known(state: State, job_id: str) -> None:
    for key in [key for key in state.known if key[-1] == job_id]:
        del state.known[key]
