"""What runs now: the local stack of the home folder, its parts, and who answers at the usual address."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from maskmill.client import DEFAULT_SERVER, Maskmill
from maskmill.doctor.findings import Finding
from maskmill.errors import MaskmillError, StackError
from maskmill.local import DEFAULT_PORT
from maskmill.stack.broker import LOOPBACK, free_port
from maskmill.stack.home import StackHome

GROUP = "Running"
START = "start it with: maskmill up"
PORTS = 1 << 16


def examine_running(home: Path) -> Iterator[Finding]:
    stack = StackHome(home.expanduser().absolute())
    noted = stack.running()
    if noted is None:
        yield Finding(group=GROUP, name="local stack", state="absent", said=f"none in {stack.root}", mend=START)
        yield _usual_port()
        return
    url = str(noted["url"])
    told = f"{url} (process {noted['pid']}); another one needs a home and a port of its own: --home DIR --port 0"
    yield Finding(group=GROUP, name="local stack", said=told)
    alive = stack.parts()
    for part in noted.get("parts", ()):
        if part in alive:
            yield Finding(group=GROUP, name=part, said=f"process {alive[part].pid}")
        else:
            said = f"does not run; see {stack.log(part)}"
            yield Finding(group=GROUP, name=part, state="bad", said=said, mend="it is started again by itself")
    yield _readiness(url)


def examine_server() -> Iterator[Finding]:
    """For a client: whether the service answers that it would ask, and takes its key."""
    try:
        with Maskmill(os.environ.get("MASKMILL_SERVER") or DEFAULT_SERVER, patience=0.0) as server:
            version = server.get("/health")["version"]
            caller = server.limits()["caller"]
    except MaskmillError as error:
        mend = "say where the service is with MASKMILL_SERVER, and who asks with MASKMILL_API_KEY"
        yield Finding(group=GROUP, name="server", state="absent", said=str(error), mend=mend)
        return
    said = f"{server.server}, version {version}; you are tenant {caller['tenant']}, scope {caller['scope']}"
    yield Finding(group=GROUP, name="server", said=said)


def _usual_port() -> Finding:
    """Whether `maskmill up` would find its port free, and who has it else."""
    given = os.environ.get("MASKMILL_API_PORT", "")
    port = int(given) if given.isdecimal() and int(given) < PORTS else DEFAULT_PORT
    name = f"port {port}"
    try:
        free_port(port)
    except StackError:
        return Finding(
            group=GROUP,
            name=name,
            state="absent",
            said=f"taken by {_who_answers(port)}",
            mend="choose another one: maskmill up --port 0, which takes any free one",
        )
    return Finding(group=GROUP, name=name, said="free")


def _who_answers(port: int) -> str:
    try:
        health: Any = httpx.get(f"http://{LOOPBACK}:{port}/health", timeout=2.0, trust_env=False).json()
    except (httpx.TransportError, ValueError):
        return "another program"
    ours = isinstance(health, dict) and health.get("status") == "ok"
    return f"a Maskmill server, version {health.get('version', '?')}" if ours else "another program"


def _readiness(url: str) -> Finding:
    try:
        response = httpx.get(f"{url}/ready", timeout=10.0, trust_env=False)
    except httpx.TransportError as error:
        return Finding(group=GROUP, name="ready", state="bad", said=f"the API does not answer ({error})")
    if response.status_code == 200:
        return Finding(group=GROUP, name="ready", said="database, broker, store and workers answer")
    return Finding(group=GROUP, name="ready", state="bad", said=response.text[:300])
