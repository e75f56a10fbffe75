"""The hand-tuned pool behind plain FastAPI, as one writes it in an afternoon: `python -m benchmarks.peers.fastapi_pool
MODEL PRECISION PORT`."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import uvicorn
from fastapi import FastAPI, File, Response, UploadFile

from benchmarks.peers.hand_tuned import THREADS, HandTunedPool, opened


def make_app(pool: HandTunedPool) -> FastAPI:
    app, threads = FastAPI(), ThreadPoolExecutor(THREADS)

    @app.post("/predict")
    async def predict(file: Annotated[UploadFile, File()]) -> Response:
        data = await file.read()
        mask, overlay, _ = await asyncio.get_running_loop().run_in_executor(threads, pool.one, data)
        return Response(mask + overlay, media_type="application/octet-stream")

    return app


def main() -> None:
    model, precision, port = sys.argv[1:]
    uvicorn.run(make_app(opened(model, precision)), port=int(port), log_level="warning")


if __name__ == "__main__":
    main()
