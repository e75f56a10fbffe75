"""One run of Schemathesis against a stack: what it counted, and what it found."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.services.processes import wait_for
from tests.services.valkey import valkey
from tests.stack import READY_S, Stack, running_stack

RULES = Path(__file__).with_name("schemathesis.toml")
PHASES = ("examples", "coverage", "fuzzing", "stateful")
_COUNTED = re.compile(r"^\s*(\d+) generated", re.MULTILINE)
# Schemathesis 4.32 stops at a form that it made itself and cannot check, in one round of three: its requests were made.
_OWN_ERROR = "Unsupported type: 'Binary'"
_ONE_ERROR = re.compile(r"^=+ 1 error(, \d+ warnings?)? in ", re.MULTILINE)
_SUMMARY = re.compile(r"={3,} FAILURES ={3,}.*", re.DOTALL)

# Nobody waits long for what no worker will ever do, and old names mean the one model that is there.
SETTINGS = {
    "MASKMILL_API_COMPAT": "1",
    "MASKMILL_API_COMPAT_WAIT_S": "5",
    "MASKMILL_API_COMPAT_MODELS": json.dumps(dict.fromkeys(("deeplab", "mask2former", "dilatednet"), "tiny")),
    "MASKMILL_API_PREDICT_WAIT_S": "5",
}


@dataclass(frozen=True, slots=True)
class Report:
    """failures: what was found, as text; empty when nothing was. own_error: of the program itself."""

    cases: int
    failures: str
    own_error: str = ""


@contextmanager
def fuzzed_stack(folder: Path) -> Iterator[tuple[Stack, str]]:
    """API with all that can be on, scheduler, a worker, a sender of webhooks; and a key that may do everything."""
    with (
        valkey(folder / "broker") as broker,
        running_stack(folder, {"MASKMILL_BROKER_URL": broker.url, **SETTINGS}) as stack,
    ):
        stack.start_webhooks()
        key = _new_key(stack)
        wait_for(lambda: _sends_webhooks(stack, key), what="a sender of webhooks", timeout_s=READY_S)
        yield stack, key


def _sends_webhooks(stack: Stack, key: str) -> bool:
    """Until then a test of a webhook is a documented 503, and late."""
    headers = {"Authorization": f"Bearer {key}"}
    with stack.http() as http:
        answer = http.post("/webhooks/test", json={"url": "https://nowhere.invalid/"}, headers=headers)
    return answer.status_code != httpx.codes.SERVICE_UNAVAILABLE


def _new_key(stack: Stack) -> str:
    command = [sys.executable, "-m", "maskmill", "keys", "create", "--tenant", "default", "--scope", "admin", "--json"]
    environment = {**os.environ, **stack.environment}
    done = subprocess.run(command, cwd=stack.folder, env=environment, capture_output=True, text=True, check=True)
    return str(json.loads(done.stdout)["key"])


def fuzz(stack: Stack, key: str, *, examples: int, seed: int, limit_s: float, phases: Sequence[str] = PHASES) -> Report:
    """examples: at most so many requests to one operation in a phase; `coverage` has a number of its own, about 1,000.
    limit_s: of the whole run.

    The seed makes the requests the same; what the service makes of them depends on what is in it.
    """
    program = Path(sys.executable).with_name("schemathesis")
    command = [str(program), "--no-color", "--config-file", str(RULES), "run", f"{stack.url}/openapi.json"]
    command += ["--checks", "all", "--max-examples", str(examples), "--seed", str(seed), "--workers", "2"]
    command += ["--header", f"Authorization: Bearer {key}"]
    command += ["--phases", ",".join(phases)]
    done = subprocess.run(
        command, cwd=stack.folder, capture_output=True, text=True, timeout=limit_s, env={**os.environ, "NO_COLOR": "1"}
    )
    return read_report(done.stdout, done.stderr, is_sound=done.returncode == 0)


def read_report(told: str, errors: str, *, is_sound: bool) -> Report:
    """is_sound: it ended with 0."""
    counted = _COUNTED.search(told)
    cases = int(counted[1]) if counted else 0
    if is_sound and cases:
        return Report(cases, "")
    if _OWN_ERROR in told and _ONE_ERROR.search(told):
        return Report(cases, "", _OWN_ERROR)
    found = _SUMMARY.search(told)
    return Report(cases, (found[0] if found else told) + errors)
