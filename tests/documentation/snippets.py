"""The snippets of README and docs, and what each command in them is: run, checked without running, or only named.

`python -m tests.documentation.snippets` lists the commands that are not run, and why."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.source_files import ROOT, project_files

FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
ASSIGNED = re.compile(r"^[A-Z_]\w*=")

# What a stack of the tests answers. The rest of `maskmill` is read as the command line reads it, and not run.
AGAINST_A_STACK = {
    "submit",
    "jobs",
    "images",
    "watch",
    "retry",
    "download",
    "delete",
    "keys",
    "doctor",
    "report",
    "film",
}
NOT_FOR_A_STACK = {
    "--webhook",  # nobody listens there
    "models:/street@champion",
    "segformer-b0-cityscapes-512",
    "my-street",
    "my-streets",
    "work-from-cvat.zip",  # a person draws in between
    "task.zip",
}
# Programs that are not ours, on machines that are not this one.
ELSEWHERE = {"docker", "git", "hf", "kubectl", "rclone", "tar", "torchrun", "pip", "python3", "source", "xargs"}


@dataclass(frozen=True)
class Snippet:
    page: str
    number: int
    language: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.page}, snippet {self.number} ({self.language or 'plain'})"


def snippets() -> Iterator[Snippet]:
    for path in project_files():
        if path.suffix == ".md" and path.parts[0] in ("README.md", "docs", "deploy", "scenes", "data"):
            found = FENCE.finditer((ROOT / path).read_text("utf-8"))
            for number, each in enumerate(found, start=1):
                yield Snippet(str(path), number, each[2], _without(each[3], len(each[1])))


def _without(text: str, spaces: int) -> str:
    return "".join(line[spaces:] if line.strip() else "\n" for line in text.splitlines(keepends=True))


def commands(snippet: Snippet) -> Iterator[str]:
    """Each command of a snippet of shell on a line of its own, without comments."""
    joined = snippet.text.replace("\\\n", " ")
    for line in joined.splitlines():
        bare = re.sub(r"(^|\s)# .*$", "", line).strip()
        for each in bare.split(" && ") if "$(" not in bare else [bare]:
            if each:
                yield each


def words_of(command: str) -> list[str]:
    """Without the assignments before the program, and without what the output is sent to."""
    words = shlex.split(command)
    while words and ASSIGNED.match(words[0]):
        words = words[1:]
    return words[: words.index("<")] if "<" in words else words


def program_of(command: str) -> str:
    words = words_of(command)
    return Path(words[0]).name if words else ""


def is_run(command: str) -> bool:
    """Whether a stack of the tests answers it."""
    program, words = program_of(command), words_of(command)
    if program == "curl":
        return ("127.0.0.1:8008" in command or "localhost:8008" in command or "ticket.json" in command) and (
            "example.org" not in command
        )
    if program == "maskmill":
        told = {word for word in words if word in NOT_FOR_A_STACK}
        return words[1] in AGAINST_A_STACK and not told
    return command.startswith(("size=", "export MASKMILL_API_KEY"))


def kind_of(snippet: Snippet, command: str) -> str:
    """run: typed against a stack of the tests, or by itself; elsewhere: of programs that are not ours, on machines that
    are not this one; checked: read as the command line reads it, or its module looked for."""
    if is_run(command) or _trains(snippet):
        return "run"
    return "elsewhere" if program_of(command) in ELSEWHERE else "checked"


def _trains(snippet: Snippet) -> bool:
    """The five commands of README, from training to promoting."""
    return snippet.page == "README.md" and "maskmill promote" in snippet.text


def training() -> Snippet:
    """Raises ValueError unless there is one."""
    (found,) = filter(_trains, snippets())
    return found


def exists(path: str) -> bool:
    return (ROOT / path).exists()


def main() -> None:
    every = [(each, command) for each in snippets() if each.language == "bash" for command in commands(each)]
    kinds = Counter(kind_of(*each) for each in every)
    print(f"{len(every)} commands: {kinds['run']} run, {kinds['checked']} only read, {kinds['elsewhere']} elsewhere")
    for kind in ("checked", "elsewhere"):
        print(f"\n{kind}:")
        for snippet, command in every:
            if kind_of(snippet, command) == kind:
                print(f"  {snippet.page}: {command}")


if __name__ == "__main__":
    main()
