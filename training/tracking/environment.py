"""What a run was made with: packages, machine, commit. For repeating it elsewhere."""

import os
import platform
import subprocess
from importlib.metadata import distributions
from pathlib import Path

import torch


def packages() -> str:
    """Everything installed, as `pip freeze` writes it."""
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


def _commit() -> str:
    head = _git("rev-parse", "HEAD")
    return f"{head}+changes" if head and _git("status", "--porcelain", "--untracked-files=no") else head


def _git(*arguments: str) -> str:
    here = Path(__file__).parent
    asked = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=False)
    return asked.stdout.strip() if asked.returncode == 0 else ""
