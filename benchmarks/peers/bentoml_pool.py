"""The hand-tuned work behind BentoML, in the threads of one process.

`bentoml serve benchmarks.peers.bentoml_pool:Segmentation`, with MODEL and PRECISION in the environment. Its batches are
lists of arrays of one shape, which pictures of any size are not, and gain nothing on processors.
"""

import os
from pathlib import Path
from typing import Annotated

import bentoml

from benchmarks.peers.hand_tuned import THREADS, opened


@bentoml.service(threads=THREADS)
class Segmentation:
    def __init__(self) -> None:
        self.pool = opened(os.environ["MODEL"], os.environ["PRECISION"])

    @bentoml.api  # type: ignore[untyped-decorator]
    def predict(self, file: Path) -> Annotated[bytes, bentoml.validators.ContentType("application/octet-stream")]:
        mask, overlay, _ = self.pool.one(file.read_bytes())
        return mask + overlay
