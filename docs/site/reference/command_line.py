"""Every command of `maskmill`, as its help has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from docs.site.reference.markdown import code, prose, table

_OPENING = """`maskmill COMMAND --help` says the same. Every command takes `--json`.

{epilog}
"""


def page() -> str:
    import typer

    from maskmill.cli.app import EPILOG, app

    group = typer.main.get_command(app)
    return "\n".join(["# Command line", "", _OPENING.format(epilog=prose(EPILOG)), *_commands("maskmill", group)])


def _commands(name: str, command: Any) -> Iterator[str]:
    for each, inner in getattr(command, "commands", {}).items():
        if not inner.hidden:
            yield from _command(f"{name} {each}", inner)
            yield from _commands(f"{name} {each}", inner)


def _command(name: str, command: Any) -> Iterator[str]:
    import typer

    usage = command.get_usage(typer.Context(command, info_name=name)).removeprefix("Usage: ")
    yield from (f"## `{name}`", "", "```text", " ".join(usage.split()), "```", "", prose(command.help or ""), "")
    options = [each for each in command.params if each.param_type_name == "option" and not each.hidden]
    yield table(("option", "meaning", "default"), (_option(each) for each in options))


def _option(each: Any) -> tuple[str, ...]:
    names = ", ".join(code(name) for name in (*each.opts, *each.secondary_opts))
    default = (
        ""
        if each.default in (None, False, (), []) or callable(each.default)
        else code(getattr(each.default, "value", each.default))
    )
    return names, prose(each.help or "") + (" Required." if each.required else ""), default
