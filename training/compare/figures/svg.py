"""SVG as text: elements whose names and attributes are escaped, and a drawing that a screen reader can tell of."""

from collections.abc import Iterable

from markupsafe import Markup, escape

Attribute = str | float | None


def element(name: str, *children: str, **attributes: Attribute) -> Markup:
    """Children that are no Markup are escaped. attributes: `stroke_width=2`, `class_="axis"`; None leaves one out."""
    given = [f' {_name(key)}="{escape(_value(value))}"' for key, value in attributes.items() if value is not None]
    opening = f"<{name}{''.join(given)}"
    return Markup(f"{opening}>{joined(children)}</{name}>" if children else f"{opening}/>")  # noqa: S704  escaped above


def joined(parts: Iterable[str]) -> Markup:
    return Markup("").join(parts)


def text(x: float, y: float, content: str, **attributes: Attribute) -> Markup:
    return element("text", content, x=x, y=y, **attributes)


def line(x1: float, y1: float, x2: float, y2: float, **attributes: Attribute) -> Markup:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, **attributes)


def drawing(key: str, size: tuple[float, float], parts: Iterable[str], *, title: str, description: str) -> Markup:
    """A whole figure. size: (width, height) in units of the view box; key: unique on the page, for the labels' ids."""
    width, height = size
    return element(
        "svg",
        element("title", title, id=f"{key}-title"),
        element("desc", description, id=f"{key}-desc"),
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        class_="chart",
        viewBox=f"0 0 {_value(width)} {_value(height)}",
        width=width,
        height=height,
        role="img",
        aria_labelledby=f"{key}-title {key}-desc",
    )


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _value(value: Attribute) -> str:
    """Numbers with two digits at most: a hundredth of a unit is less than anyone sees."""
    if isinstance(value, str):
        return value
    return f"{value:.2f}".rstrip("0").rstrip(".") if value is not None else ""
