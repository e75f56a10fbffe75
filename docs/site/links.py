"""Every link of the built site that stays inside it leads to a file, and to a place in it where it names one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass
class _Page(HTMLParser):
    links: list[str] = field(default_factory=list)
    places: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value and not (tag == "link" and value.startswith("http")):
                self.links.append(value)
            elif name in ("id", "name") and value:
                self.places.add(value)


@dataclass(frozen=True)
class Checked:
    """dead: as `page: link`. outward: links that leave the site, which are not followed."""

    pages: int
    inward: int
    outward: frozenset[str]
    dead: tuple[str, ...]


def check(site: Path) -> Checked:
    pages = {path.resolve(): _read(path) for path in sorted(site.rglob("*.html"))}
    inward, outward, dead = 0, set(), []
    for path, link in _links(pages):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            outward.add(link)
            continue
        inward += 1
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        is_there = target.exists() and (
            not parts.fragment or target not in pages or _has(pages[target], parts.fragment)
        )
        if not is_there:
            dead.append(f"{path.relative_to(site.resolve())}: {link}")
    return Checked(len(pages), inward, frozenset(outward), tuple(dead))


def _links(pages: dict[Path, _Page]) -> Iterator[tuple[Path, str]]:
    return ((path, link) for path, page in pages.items() for link in page.links)


def _has(page: _Page, fragment: str) -> bool:
    return fragment in page.places or unquote(fragment) in page.places


def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text("utf-8"))
    return page
