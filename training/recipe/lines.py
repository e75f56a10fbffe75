"""Where in a TOML text a key stands. The standard parser says what a text means, but not where it says it."""

import tomllib
from collections.abc import Iterator


def place_of(text: str, where: str, *, file: str | None = None) -> str:
    """What is said behind the file's name: `, line 3`, or nothing where no line is to blame.

    file: the text as the file has it, where single values of it were changed by `--set`. A key that was changed stands
    on no line of the file; the others stand where the file has them.
    """
    if file is None or file == text:
        line = line_of(text, where)
    elif _found(text).get(where) != _found(file).get(where):
        return " with --set"
    else:
        line = line_of(file, where)
    return "" if line is None else f", line {line}"


def line_of(text: str, where: str) -> int | None:
    """1, 2, …: the line on which the key `where` (as `stages[0].crop`) begins, or the nearest key that holds it.

    Found by reading ever more lines: a key that is new after a line stands there, or, when its value spans several
    lines, on the first after the last beginning of the text that was TOML. None for a text that is none.
    """
    lines = text.splitlines(keepends=True)
    found: dict[str, int] = {}
    complete = 0  # lines at the beginning of the text that are TOML by themselves
    for count in range(1, len(lines) + 1):
        try:
            table = tomllib.loads("".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            continue
        for path, _ in _paths(table, ""):
            found.setdefault(path, complete + 1)
        complete = count
    while where and where not in found:
        where = where[: max(where.rfind("."), where.rfind("["), 0)]
    return found.get(where)


def _found(text: str) -> dict[str, object]:
    return dict(_paths(tomllib.loads(text), ""))


def _paths(value: object, where: str) -> Iterator[tuple[str, object]]:
    if where:
        yield where, value
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _paths(each, f"{where}.{key}" if where else key)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _paths(each, f"{where}[{number}]")
