"""Install this project into the environment whose Python runs this: `.venv/bin/python deploy/install.py '.[dev]'`.

uv does it, in a quarter of pip's time, from where pip is set to look. pip does it where uv is not, fails, or cannot be
told what pip is set to. Standard library only.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

# A setting of pip, and what says the same to uv (https://docs.astral.sh/uv/reference/environment/).
SAME = {
    "index-url": "UV_INDEX_URL",
    "extra-index-url": "UV_EXTRA_INDEX_URL",
    "find-links": "UV_FIND_LINKS",
    "constraint": "UV_CONSTRAINT",
    "trusted-host": "UV_INSECURE_HOST",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
}
# These change nothing of what is installed.
WITHOUT_EFFECT = {
    *("cache-dir", "compile", "debug", "disable-pip-version-check", "log", "no-cache-dir", "no-color", "no-compile"),
    *("no-input", "no-warn-script-location", "progress-bar", "quiet", "require-virtualenv", "retries"),
    *("root-user-action", "verbose"),
}
# The newest release of all indexes, the certificates that the system trusts, and nobody else's settings.
AS_PIP_DOES = {
    "UV_INDEX_STRATEGY": "unsafe-best-match",
    "UV_NATIVE_TLS": "true",
    "UV_SYSTEM_CERTS": "true",
    "UV_NO_CONFIG": "true",
}
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


def environment_of_uv(configuration: str) -> dict[str, str] | None:
    """What makes uv look where pip would, by what `pip config list` prints. None: there is no way to tell it."""
    settings: dict[str, str] = {}
    for section in ("global.", "install.", ":env:."):  # the later wins
        for line in configuration.splitlines():
            if line.startswith(section):
                name, _, value = line.removeprefix(section).partition("=")
                settings[name] = " ".join(ast.literal_eval(value).split())
    if settings.keys() - SAME.keys() - WITHOUT_EFFECT:
        return None
    told = {SAME[name]: value for name, value in settings.items() if name in SAME}
    if "UV_FIND_LINKS" in told:
        told["UV_FIND_LINKS"] = told["UV_FIND_LINKS"].replace(" ", ",")
    return {**AS_PIP_DOES, **told}


def with_uv(project: str) -> bool:
    """Whether uv has installed it. What it downloads stays in the environment, linked to what is installed."""
    if importlib.util.find_spec("uv") is None:
        return False
    asked = subprocess.run([*PIP, "config", "list"], capture_output=True, text=True, check=False)
    if asked.returncode or (told := environment_of_uv(asked.stdout)) is None:
        return False
    environment = {"UV_CACHE_DIR": str(Path(sys.prefix) / ".uv"), **os.environ, **told}
    shown = () if sys.stderr.isatty() else ("--quiet",)
    # Ours again even if its version is there: what is compiled of it may have changed.
    again = ("--reinstall-package", "maskmill-server", "--upgrade-package", "pip")
    command = [sys.executable, "-m", "uv", "pip", "install", *shown, "--python", sys.executable, *again]
    return subprocess.run([*command, "pip", "--editable", project], env=environment, check=False).returncode == 0


def with_pip(project: str) -> bool:
    print("pip installs, which takes a few times as long as uv", flush=True)
    # It would compile 300 MB of sources, most of which nothing imports: Python compiles, and keeps, what it imports.
    install = (*PIP, "install", "--quiet", "--no-compile", "--no-warn-conflicts")
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    steps = (("--upgrade", "pip"), ("--editable", project))  # the newest takes half as long
    return all(subprocess.run([*install, *step], env=environment, check=False).returncode == 0 for step in steps)


if __name__ == "__main__":
    try:
        sys.exit(not (with_uv(sys.argv[1]) or with_pip(sys.argv[1])))
    except KeyboardInterrupt:
        sys.exit(130)
