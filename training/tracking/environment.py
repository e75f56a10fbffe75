"""What a run was made with: packages, machine, commit. For repeating it elsewhere."""

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

import torch


@cache
def packages() -> str:
    """Everything installed when it is first asked for, as `pip freeze` writes it."""
    found = {dist.metadata["Name"]: dist.version for dist in distributions() if dist.metadata["Name"]}
    return "".join(f"{name}=={version}\n" for name, version in sorted(found.items(), key=lambda item: item[0].lower()))


def machine() -> dict[str, str]:
    """Short facts, as tags. commit: empty outside a repository, with `+changes` when files differ from it."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": str(os.cpu_count()),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "commit": _commit(),
    }


def commit_of(file: Path) -> str:
    """The repository's, of which the file is a part; empty where it is none, as in an environment that lies in one."""
    tracked = _git(file.parent, "ls-files", "--error-unmatch", file.name)
    return _git(file.parent, "rev-parse", "HEAD") if tracked else ""


def _commit() -> str:
    here = Path(__file__)
    head = commit_of(here)
    return f"{head}+changes" if head and _git(here.parent, "status", "--porcelain", "--untracked-files=no") else head


def _git(folder: Path, *arguments: str) -> str:
    asked = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    return asked.stdout.strip() if asked.returncode == 0 else ""
