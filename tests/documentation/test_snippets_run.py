"""The snippets of README and docs that need no more than a service, typed as they stand against a real one."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from _pytest.mark import ParameterSet
from PIL import Image

from maskmill.cli.exits import DONE, PARTIAL
from tests.documentation.snippets import Snippet, commands, is_run, snippets, training
from tests.films import film
from tests.services.valkey import MortalValkey
from tests.stack import ROOT, Stack, picture, running_stack
from tests.tiny_models import tiny_bundle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

RUN = [each for each in snippets() if each.language == "bash" and any(map(is_run, commands(each)))]
CLIENT = [each for each in snippets() if each.language == "python" and "from maskmill import Maskmill" in each.text]
SCENES = [each for each in snippets() if each.page == "scenes/README.md" and each.language == "python"]
FIRST = ("README.md", "docs/tutorial.md")  # the short form; `make snippets` types all pages
PLACE_OF_A_JOB = re.compile(r"job_01JD…|job_…|\bJOB\b")
NAMES = ["street", "street1", "street2"]


def cases(of: list[Snippet]) -> list[ParameterSet]:
    return [pytest.param(each, id=each.name, marks=() if each.page in FIRST else pytest.mark.full) for each in of]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """With models of the names that the pages use."""
    broker, folder = MortalValkey(tmp_path_factory.mktemp("broker")), tmp_path_factory.mktemp("stack")
    for name in ("street-fast", "street-accurate"):
        tiny_bundle(folder / "models", name=name)
    parts = {"MASKMILL_BROKER_URL": broker.server.url, "MASKMILL_API_COMPAT": "1", "MASKMILL_API_TRUST_NETWORK": "1"}
    with running_stack(folder, parts) as stack:
        yield stack
    broker.close()


def mask() -> bytes:
    data = io.BytesIO()
    Image.fromarray(np.ones((48, 64), np.uint8)).save(data, "PNG")
    return data.getvalue()


def packed(**files: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_jpg", ".jpg").replace("_png", ".png"), content)
    return data.getvalue()


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with everything that the pages name."""
    photo = picture(1, width=64, height=48)
    for folder in ("photos", "pictures", "cam_a", "cam_b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.jpg").write_bytes(photo)
    for path in ("masks/a.png", "truth/cam_a/a.png", "truth/cam_b/a.png", "work/masks/a.png"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(mask())
    for name in NAMES:
        (tmp_path / f"{name}.jpg").write_bytes(photo)
    Image.open(io.BytesIO(photo)).save(tmp_path / "street3.png")
    (tmp_path / "film.mp4").write_bytes(film())
    for name in ("more", "all", "pictures", "cams"):
        (tmp_path / f"{name}.zip").write_bytes(packed(more_jpg=photo))
    for name in ("masks", "truth"):
        (tmp_path / f"{name}.zip").write_bytes(packed(more_png=mask()))
    program = tmp_path / "bin" / "maskmill"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m maskmill "$@"\n')
    program.chmod(0o755)
    return tmp_path


@pytest.fixture
def job(stack: Stack) -> str:
    """One that has ended, with an image that failed: there is something to retry. And with a film."""
    photo = picture(2, width=64, height=48)
    with stack.http() as http:
        files = [("files", ("a.jpg", photo, "image/jpeg")), ("files", ("broken.jpg", b"\xff\xd8\xff", "image/jpeg"))]
        files.append(("files", ("film.mp4", film(), "video/mp4")))
        answer = http.post("/jobs", files=files, data={"artifacts": "mask,overlay"}).raise_for_status()
    job_id = str(answer.json()["id"])
    stack.finished(job_id)
    return job_id


@pytest.fixture
def key(stack: Stack, desk: Path) -> dict[str, str]:
    command = [sys.executable, "-m", "maskmill", "keys", "create", "--tenant", "pages", "--scope", "admin", "--json"]
    made = subprocess.run(
        command, cwd=desk, env={**os.environ, **stack.environment}, capture_output=True, text=True, check=True
    )
    return dict(json.loads(made.stdout))


def script(snippet: Snippet, replaced: dict[str, str]) -> str:
    """Its commands that a stack answers, each of which must end well; `curl` tells when the service refuses."""
    lines = []
    for command in filter(is_run, commands(snippet)):
        for old, new in replaced.items():
            command = re.sub(old, new, command)  # noqa: PLW2901
        well = f"{DONE}|{PARTIAL}" if command.startswith("maskmill") else f"{DONE}"
        said = shlex.quote(f"ended badly: {command}")
        lines.append(f"{command}\ncase $? in {well}) ;; *) echo {said} >&2; exit 1 ;; esac")
    return "\n".join(['curl() { command curl -sS --fail-with-body --max-time 60 "$@"; }', *lines])


def run(text: str, desk: Path, stack: Stack) -> None:
    path = f"{desk / 'bin'}:{os.environ['PATH']}"
    environment = {
        **os.environ,
        **stack.environment,
        "PATH": path,
        "MASKMILL_SERVER": stack.url,
        "PYTHONPATH": str(ROOT),
    }
    ended = subprocess.run(
        ["bash", "-c", text], cwd=desk, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert ended.returncode == 0, f"{text}\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}\n{stack.logs()[-3000:]}"


def server(stack: Stack) -> dict[str, str]:
    return {r"(127\.0\.0\.1|localhost):8008": f"127.0.0.1:{stack.port}"}


def with_keys(snippet: Snippet) -> bool:
    return "maskmill keys" in snippet.text or "MASKMILL_API_KEY" in snippet.text


@pytest.mark.parametrize("snippet", cases([each for each in RUN if not with_keys(each)]))
def test_a_snippet_of_shell_does_what_it_says(snippet: Snippet, stack: Stack, desk: Path, job: str) -> None:
    run(script(snippet, {**server(stack), PLACE_OF_A_JOB.pattern: job}), desk, stack)


@pytest.mark.parametrize("snippet", cases(CLIENT))
def test_a_snippet_of_the_client_does_what_it_says(snippet: Snippet, stack: Stack, desk: Path) -> None:
    text = snippet.text
    for old, new in server(stack).items():
        text = re.sub(old, new, text)
    (desk / "snippet.py").write_text(text)
    run(f"{sys.executable} snippet.py", desk, stack)


@pytest.mark.parametrize("snippet", cases(SCENES))
def test_a_snippet_of_the_renderer_does_what_it_says(snippet: Snippet) -> None:
    subprocess.run([sys.executable, "-c", snippet.text], cwd=ROOT, check=True, capture_output=True, timeout=60)


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_the_five_commands_of_training_go_from_a_recipe_to_the_registry(desk: Path) -> None:
    typed = "\n".join(["set -e", *commands(training())])
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MASKMILL_")}
    environment |= {"PATH": f"{desk / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        ["bash", "-c", typed], cwd=desk, env=environment, capture_output=True, text=True, timeout=3500, check=False
    )
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    assert "models:/quick@champion is version 1 now" in ended.stdout
    assert (desk / "comparison.html").is_file()


# With the first key everybody needs one: these come last.
@pytest.mark.parametrize("snippet", cases([each for each in RUN if with_keys(each)]))
def test_a_snippet_with_keys_does_what_it_says(snippet: Snippet, stack: Stack, desk: Path, key: dict[str, str]) -> None:
    replaced = {r"key_…": key["id"], r"mm_…": key["key"], **server(stack)}
    run(script(snippet, replaced), desk, stack)
