"""What can be named: pictures, artifacts, exports, label spaces, engines and metrics, from their registries."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from docs.site.reference.markdown import code, prose, table

_OPENING = "From the registries of the code: what is listed here is what the service takes and gives."


def page() -> str:
    parts = (_pictures, _artifacts, _exports, _engines, _measures, _label_spaces)
    return "\n".join(["# Formats and names", "", _OPENING, "", *(line for part in parts for line in part())])


def _pictures() -> Iterator[str]:
    from segmentation.picture_files.picture_kinds import PICTURE_KINDS

    yield from (
        "## Pictures",
        "",
        "Known by their content, not by their names ([more](../pictures-and-results.md)).",
        "",
    )
    yield table(
        ("kind", "suffixes"),
        ((each.name, ", ".join(code(one) for one in each.suffixes)) for each in PICTURE_KINDS.values()),
    )


def _artifacts() -> Iterator[str]:
    from segmentation.formats import FORMATS

    yield from ("## Artifacts", "")
    rows = ((code(each.name), _files(each.files), _about(each)) for each in FORMATS.values())
    yield table(("artifact", "files", "what it is"), rows)


def _files(files: object) -> str:
    return ", ".join(f"{code(suffix)} ({media})" for media, suffix in dict(files).items())  # type: ignore[call-overload]


def _about(thing: object) -> str:
    return prose(inspect.cleandoc(type(thing).__doc__ or "").partition("\n\n")[0])


def _exports() -> Iterator[str]:
    from segmentation.exports import EXPORTS

    yield from ("## Exports for tools", "", "How: [annotation tools](../how-to/annotation-tools.md).", "")
    yield table(("export", "form"), ((code(each.name), each.title) for each in EXPORTS.values()))


def _engines() -> Iterator[str]:
    from segmentation.engines import ENGINES

    yield from ("## Engines", "")
    rows = ((code(name), ", ".join(each.files), ", ".join(each.ranks)) for name, each in ENGINES.items())
    yield table(("engine", "precisions", "devices"), rows)


def _measures() -> Iterator[str]:
    from segmentation.measures.metrics import METRICS

    yield from ("## Metrics of a job", "", "All from one summed confusion matrix; void counts nowhere.", "")
    rows = (
        (code(name), prose(inspect.cleandoc(each.__doc__ or "").partition("\n")[0])) for name, each in METRICS.items()
    )
    yield table(("metric", "what it is"), rows)


def _label_spaces() -> Iterator[str]:
    from segmentation.label_spaces import LABEL_SPACES

    yield from ("## Label spaces", "")
    for space in LABEL_SPACES.values():
        into = ", ".join(code(each) for each in space.mappings) or "none"
        yield from (f"### `{space.name}`", "", prose(space.description), "", f"Can be read in: {into}.", "")
        rows = (
            (each.id, each.name, code("#{:02x}{:02x}{:02x}".format(*each.colour)), each.group) for each in space.classes
        )
        yield table(("id", "class", "colour", "group"), rows)
