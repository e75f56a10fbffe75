"""What a run notes of where it was made."""

import subprocess
from pathlib import Path

from training.tracking.environment import commit_of


def git(folder: Path, *arguments: str) -> str:
    told = ["git", "-c", "user.name=somebody", "-c", "user.email=somebody@example.org", *arguments]
    return subprocess.run(told, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def test_the_commit_is_of_the_repository_that_holds_the_code_and_of_no_other(tmp_path: Path) -> None:
    """A package that is installed into an environment inside the user's repository has no commit there."""
    installed = tmp_path / "theirs" / ".venv" / "package"
    installed.mkdir(parents=True)
    ours, not_ours, outside = tmp_path / "theirs" / "code.py", installed / "code.py", tmp_path / "code.py"
    for file in (ours, not_ours, outside):
        file.touch()
    git(ours.parent, "init", "--quiet")
    git(ours.parent, "add", "code.py")
    git(ours.parent, "commit", "--quiet", "--message=first")
    assert commit_of(ours) == git(ours.parent, "rev-parse", "HEAD")
    assert commit_of(not_ours) == ""
    assert commit_of(outside) == ""
