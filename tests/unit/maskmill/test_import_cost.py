"""Importing the client must stay cheap: it goes into other people's programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys

LOADED = "import json, sys; {}; print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"


def _loaded(statement: str) -> set[str]:
    command = [sys.executable, "-c", LOADED.format(statement)]
    return set(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def test_the_package_alone_loads_no_third_party() -> None:
    third_party = _loaded("import maskmill") - sys.stdlib_module_names - _loaded("pass")
    assert third_party == {"maskmill"}


def test_the_client_costs_httpx_and_nothing_more() -> None:
    extra = _loaded("from maskmill import Maskmill, JobHandle, MaskmillError") - _loaded("import httpx")
    assert extra - sys.stdlib_module_names == {"maskmill"}


def test_without_its_libraries_the_command_line_says_what_to_install() -> None:
    code = "import sys; sys.modules['typer'] = None; from maskmill.cli import main; main()"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr.strip()) == (2, "The command line needs typer: pip install typer")


def test_names_that_cannot_be_written_as_they_are_are_escaped() -> None:
    code = "from maskmill.cli import main; main()"
    command = [sys.executable, "-c", code, "submit", os.fsdecode(b"\xe9.jpg"), "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (1, "")
    assert json.loads(ended.stdout)["error"]["message"] == "\udce9.jpg: no such file or folder"


def test_the_command_line_loads_no_model_and_no_array() -> None:
    heavy = {"numpy", "PIL", "celery", "sqlalchemy", "fastapi", "torch", "onnxruntime", "openvino", "cv2", "psutil"}
    assert _loaded("import maskmill.cli.app") & heavy == set()


def test_a_bundle_is_promoted_without_what_a_run_needs() -> None:
    assert _loaded("import training.promote.promote") & {"torch", "cv2"} == set()


def test_a_local_stack_that_listens_here_alone_asks_no_database_for_keys() -> None:
    statement = "from maskmill.stack.keys import need_a_key; need_a_key('127.0.0.1')"
    assert _loaded(statement) & {"fastapi", "sqlalchemy", "numpy"} == set()
