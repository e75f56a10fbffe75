"""The pictures of a page: each with what it shows, what each model makes of it, and where they differ and err."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from jobs.comparing.pages.parts import Html

ABOUT = (
    "First what the picture shows, then what each model makes of it; below, where the models disagree and, with a "
    "truth, striped, where each is wrong. The worst stand first. Void, the pixels that are not labelled, is black in a "
    "truth and counts nowhere: there no model is right or wrong."
)

UNDER = {"photo": "photo", "mask": "under", "stripes": "under"}  # how the photo is shown below a layer of this kind


@dataclass(frozen=True, slots=True)
class Name:
    """A class name that is written into its region, around (x, y) in pixels."""

    text: str
    x: int
    y: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """label: what it shows, in words. layer: the address of a picture above the photo; empty for the photo alone.

    kind: photo, mask, stripes; or grey and nothing, which have no photo below. names: of classes, in their regions.
    """

    label: str
    caption: str
    layer: str = ""
    kind: str = "mask"
    names: Sequence[Name] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """photo: an address; empty where there is none. size: (width, height) in pixels. rows: of tiles; None: a gap.

    links: text and address of files that lie beside the page.
    """

    key: str
    name: str
    why: str
    photo: str
    size: tuple[int, int]
    rows: Sequence[Sequence[Tile | None]]
    links: Sequence[tuple[str, str]] = ()

    def html(self) -> Html:
        columns = max((len(row) for row in self.rows), default=1)
        tiles = "\n".join(self._tile(tile) for row in self.rows for tile in _filled(row, columns))
        head = f'<h3 id="{self.key}-name">{escape(self.name)}</h3>\n<p class="why">{escape(self.why)}</p>'
        content = f'<div class="tiles" style="--columns:{columns}">\n{tiles}\n</div>' if self.rows else ""
        if self.links:
            content += f'<p class="files">Files: {", ".join(map(_link, self.links))}</p>'
        return Html(f'<article class="picture" aria-labelledby="{self.key}-name">\n{head}\n{content}\n</article>')

    def photo_html(self) -> Html:
        return Html(f'<image id="{self.key}" href="{self.photo}"{self._sides()}/>' if self.photo else "")

    def _tile(self, tile: Tile | None) -> str:
        if tile is None:
            return '<div class="tile gap"></div>'
        width, height = self.size
        marked = " data-mask" if tile.kind == "mask" else ""
        head = f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(tile.label)}"{marked}>'
        under = "photo" if tile.kind == "photo" else "under"
        photo = (
            f'<use href="#{self.key}" class="{under}"/>'
            if self.photo and tile.kind in ("photo", "mask", "stripes")
            else ""
        )
        layer = f'<image class="layer {tile.kind}" href="{tile.layer}"{self._sides()}/>' if tile.layer else ""
        names = "".join(map(_name, tile.names))
        caption = f"<figcaption>{escape(tile.caption)}</figcaption>"
        return f'<figure class="tile">{head}{photo}{layer}{names}</svg>{caption}</figure>'

    def _sides(self) -> str:
        return f' width="{self.size[0]}" height="{self.size[1]}"'


def gallery(pictures: Sequence[Picture], classes: Sequence[tuple[str, str]], *, striped: bool = True) -> Html:
    """classes: name and colour (`#rrggbb`) of those that occur, and of what is not labelled. striped: some tile is."""
    photos = "".join(picture.photo_html() for picture in pictures)
    shared = f'<svg class="patterns" width="0" height="0" aria-hidden="true"><defs>{photos}</defs></svg>'
    return Html("\n".join([_legend(classes, striped), shared, *(picture.html() for picture in pictures)]))


def address(data: bytes, media_type: str) -> str:
    """The bytes of a picture, as an address that holds them."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def hex_of(colour: Sequence[int]) -> str:
    """(red, green, blue) as a style sheet has it."""
    return "#" + bytes(colour).hex()


def _legend(classes: Sequence[tuple[str, str]], striped: bool) -> str:
    items = "\n".join(
        f'<li data-colour="{colour}"><span class="colour" style="background:{colour}"></span>{escape(name)}</li>'
        for name, colour in classes
    )
    marked = '\n<li><span class="colour striped"></span>marked: differs or wrong</li>' if striped else ""
    names = f'<ul aria-labelledby="legend">\n{items}{marked}\n</ul>'
    return f'<div class="legend" data-legend>\n<h3 id="legend">Classes</h3>\n{names}\n</div>'


def _filled(row: Sequence[Tile | None], columns: int) -> list[Tile | None]:
    return [*row, *[None] * (columns - len(row))]


def _link(link: tuple[str, str]) -> str:
    text, target = link
    return f'<a href="{escape(target, quote=True)}">{escape(text)}</a>'


def _name(name: Name) -> str:
    place = f'x="{name.x}" y="{name.y}" dy="0.35em" text-anchor="middle"'
    return f'<text class="class-name" {place}>{escape(name.text)}</text>'
