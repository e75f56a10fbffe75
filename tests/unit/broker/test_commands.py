"""`python -m broker`: Celery's commands as `celery` has them, in less memory."""

import subprocess
import sys

import pytest

HEAVY = {"prompt_toolkit", "click_repl", "flower", "tornado"}


@pytest.mark.parametrize("command", ["worker", "beat"])
def test_a_command_takes_our_options_too_and_imports_no_other_command(command):
    program = f"""
import runpy, sys
sys.argv[1:] = ["-A", "broker.app", {command!r}, "--help"]
try:
    runpy.run_module("broker", run_name="__main__")
finally:
    print("loaded", *sorted({HEAVY!r} & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "--log-format" in ran.stdout
    assert ran.stdout.endswith("loaded\n")
