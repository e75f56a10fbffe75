"""What does one picture through `POST /predict` cost on an idle embedded stack, beyond the work on it; beside a pool
tuned by hand behind FastAPI; and behind a job of 10,000 images?

The work is what the image's own `timings_ms` say of decoding, the forward pass, upsampling and encoding;
everything else, from the first byte of the request to the last of the answer, is waiting and machinery.
The two sides are asked by turns, same model and precision, mask and overlay made by both.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.peers.__main__ import our_stack
from benchmarks.peers.servers import running
from benchmarks.record import record
from data.sample_library import open_samples
from maskmill.stack.broker import LOOPBACK

QUESTION = "ms of one picture through /predict, and how much of it is not decode, forward, upsample or encode"
BOUNDARY = "maskmill-benchmark"
WARM_UP = 8
WORK = ("decode", "infer", "upsample", "encode")
INPUT = "preprocess"  # resize and normalise: of the forward pass, where it is not counted as work of its own


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--behind", type=int, default=10_000, help="images of the job that is worked on meanwhile")
    parser.add_argument("--model", default="street-fast")
    parser.add_argument("--precision", default="int8")
    given = parser.parse_args()
    samples = open_samples()
    picture = samples.picture(min(samples.ids()))
    load = [round(each, 1) for each in os.getloadavg()]
    with our_stack(given.precision) as stack, running("fastapi", given.model, given.precision) as fastapi:
        ours, theirs = Caller(stack.port, picture), Peer(fastapi.port, picture)
        for _ in range(WARM_UP):
            ours.predict()
            theirs.predict_ms()
        ours.renew()
        theirs.renew()
        calls, peers = [], []
        for _ in range(given.calls):
            calls.append(ours.predict())
            peers.append(theirs.predict_ms())
        behind = ours.behind([{"sample": each} for each in sorted(samples.ids())], given.behind, given.calls)
    asked = {"model": given.model, "precision": given.precision, "calls": given.calls, "picture_bytes": len(picture)}
    idle = _figures(calls) | {"fastapi_ms_p50": round(statistics.median(peers), 1)}
    record("latency", QUESTION, {**asked, "load": load, **idle, "behind": _behind(behind, calls, given.behind)})


class Caller:
    """One connection, and a request that is made once."""

    def __init__(self, port: int, picture: bytes) -> None:
        self._http = http.client.HTTPConnection(LOOPBACK, port, timeout=60)
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
        computed = f'\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name="reuse"\r\n\r\nfalse'
        self._body = head.encode() + picture + f"{computed}\r\n--{BOUNDARY}--\r\n".encode()
        self._headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", "Accept": "image/png"}

    def renew(self) -> None:
        """The server may have closed the connection while nothing was asked."""
        self._http.close()

    def predict(self) -> tuple[float, Mapping[str, float]]:
        """Milliseconds of the whole call, and what the image's row says."""
        began = time.perf_counter()
        _, headers = self._ask("POST", "/predict", self._body, self._headers)
        whole_ms = (time.perf_counter() - began) * 1e3
        row = json.loads(self._ask("GET", f"{headers['Location']}/images/0")[0])
        return whole_ms, row["timings_ms"]

    def behind(self, inputs: Sequence[Mapping[str, str]], images: int, calls: int) -> list[float]:
        """Milliseconds of each call while a job of so many images is worked on; it is canceled at the end."""
        if not images:
            return []
        many = [inputs[index % len(inputs)] for index in range(images)]
        body = json.dumps({"inputs": many, "reuse": False, "priority": "bulk"}).encode()
        place = json.loads(self._ask("POST", "/jobs", body, {"Content-Type": "application/json"}, expected=202)[0])
        job = f"/jobs/{place['id']}"
        while not json.loads(self._ask("GET", job)[0])["images"]["succeeded"]:
            time.sleep(0.05)
        spent = [self.predict()[0] for _ in range(calls)]
        seen = json.loads(self._ask("GET", job)[0])
        assert seen["images"]["queued"], "the job is too small"
        assert not seen["reused"], "results of before answer"
        self._ask("POST", f"{job}/cancel", b"", expected=202)
        return spent

    def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, **given: int
    ) -> tuple[bytes, http.client.HTTPMessage]:
        """given: `expected`, another status than 200."""
        self._http.request(method, path, body, dict(headers or {}))
        answer = self._http.getresponse()
        content = answer.read()
        if answer.status != given.get("expected", 200):
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:500]!r}")
        return content, answer.headers


class Peer(Caller):
    """The same question, of the pool."""

    def predict_ms(self) -> float:
        began = time.perf_counter()
        self._ask("POST", "/predict", self._body, self._headers)
        return (time.perf_counter() - began) * 1e3


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


def _behind(spent: Sequence[float], idle: Sequence[tuple[float, Mapping[str, float]]], images: int) -> dict[str, Any]:
    if not spent:
        return {}
    p95, idle_p95 = (statistics.quantiles(each, n=20)[18] for each in (spent, [whole_ms for whole_ms, _ in idle]))
    found = {"images": images, "whole_ms_p50": statistics.median(spent), "whole_ms_p95": p95, "idle_ms_p95": idle_p95}
    return {name: round(value, 1) for name, value in found.items()}


if __name__ == "__main__":
    main()
