"""The hand-tuned work behind LitServe, in two processes.

`python -m benchmarks.peers.litserve_pool MODEL PRECISION PORT`. LitServe gives a process one request at a time unless
they are joined in batches, and a batch of pictures of any size gains nothing on processors: so one process a core.
"""

import sys
from typing import Any

import litserve
from fastapi import Response

from benchmarks.peers.hand_tuned import opened

WORKERS = 2


class Segmentation(litserve.LitAPI):  # type: ignore[misc]
    def setup(self, device: str) -> None:
        self.pool = opened(*sys.argv[1:3], streams=1)

    def decode_request(self, request):  # type: ignore[no-untyped-def]  # with a type LitServe asks for a query of that name
        return request["file"].file.read()

    def predict(self, data: bytes) -> Any:
        return self.pool.one(data)

    def encode_response(self, output: tuple[bytes, bytes, Any]) -> Response:
        mask, overlay, _ = output
        return Response(mask + overlay, media_type="application/octet-stream")


if __name__ == "__main__":
    server = litserve.LitServer(Segmentation(), accelerator="cpu", workers_per_device=WORKERS)
    server.run(port=int(sys.argv[3]), host="127.0.0.1", generate_client_file=False, log_level="warning")
