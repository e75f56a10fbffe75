"""What does one picture through `POST /predict` cost beyond the work on it, on an idle embedded stack?

The work is what the image's own `timings_ms` say of decoding, the forward pass, upsampling and encoding;
everything else, from the first byte of the request to the last of the answer, is waiting and machinery.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.record import record
from data.sample_library import open_samples
from maskmill.local import StackOptions, running_stack
from maskmill.stack.broker import LOOPBACK

QUESTION = "ms of one picture through /predict, and how much of it is not decode, forward, upsample or encode"
BOUNDARY = "maskmill-benchmark"
WARM_UP = 8
WORK = ("decode", "infer", "upsample", "encode")
INPUT = "preprocess"  # resize and normalise: of the forward pass, where it is not counted as work of its own


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=50)
    given = parser.parse_args()
    samples = open_samples()
    picture = samples.picture(min(samples.ids()))
    with tempfile.TemporaryDirectory() as home:
        options = StackOptions(home=Path(home) / "home", port=0)
        with running_stack(options, lambda notice: None) as stack:
            caller = Caller(stack.port, picture)
            for _ in range(WARM_UP):
                caller.predict()
            calls = [caller.predict() for _ in range(given.calls)]
    record("latency", QUESTION, {"calls": given.calls, "picture_bytes": len(picture), **_figures(calls)})


class Caller:
    """One connection, and a request that is made once."""

    def __init__(self, port: int, picture: bytes) -> None:
        self._http = http.client.HTTPConnection(LOOPBACK, port, timeout=60)
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
        computed = f'\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name="reuse"\r\n\r\nfalse'
        self._body = head.encode() + picture + f"{computed}\r\n--{BOUNDARY}--\r\n".encode()
        self._headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", "Accept": "image/png"}

    def predict(self) -> tuple[float, Mapping[str, float]]:
        """Milliseconds of the whole call, and what the image's row says."""
        began = time.perf_counter()
        answer = self._ask("POST", "/predict", self._body, self._headers)
        whole_ms = (time.perf_counter() - began) * 1e3
        row = json.loads(self._ask("GET", f"{answer.headers['Location']}/images/0").read())
        return whole_ms, row["timings_ms"]

    def _ask(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Any:
        self._http.request(method, path, body, dict(headers or {}))
        answer = self._http.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.read()[:500]!r}")
        if method == "POST":
            answer.read()
        return answer


def _figures(calls: Sequence[tuple[float, Mapping[str, float]]]) -> dict[str, Any]:
    beyond = [whole_ms - sum(timings.get(name, 0.0) for name in WORK) for whole_ms, timings in calls]
    without_input = [ms - timings.get(INPUT, 0.0) for ms, (_, timings) in zip(beyond, calls, strict=True)]
    names = calls[0][1].keys()
    return {
        "whole_ms_p50": round(statistics.median(whole_ms for whole_ms, _ in calls), 1),
        "beyond_work_ms_p50": round(statistics.median(beyond), 1),
        "beyond_work_ms_p90": round(statistics.quantiles(beyond, n=10)[8], 1),
        "beyond_work_and_preprocess_ms_p50": round(statistics.median(without_input), 1),
        "timings_ms_p50": {name: round(statistics.median(each[name] for _, each in calls), 2) for name in names},
    }


if __name__ == "__main__":
    main()
