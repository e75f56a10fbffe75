"""`comparison.html` of an archive: the numbers, and the most contested images with every model's mask, worst first.

One file that asks nobody for anything. Pictures go in as they are stored: nothing that a client sent is decoded here.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from jobs.errors import ObjectNotFound
from jobs.job import Artifact, Job, JobImage
from jobs.ports import ObjectStore
from segmentation.media_types import is_shown

COMPARISON_HTML = "comparison.html"
SHOWN = 12  # images, the most contested ones
LARGEST = 1_500_000  # bytes of a file that goes into the page

Errors = Callable[[JobImage], Sequence[bytes]]  # of each model a PNG, white where it is wrong; empty without truth


@dataclass(frozen=True, slots=True)
class ComparisonPage:
    objects: ObjectStore
    errors: Errors

    def render(self, job: Job, document: Mapping[str, Any], images: Sequence[JobImage]) -> bytes:
        """document: as `comparison_document` tells. images: the most contested first."""
        page = Template(files("jobs.comparing").joinpath("page.html").read_text(encoding="utf-8"))
        errors = {image.index: self.errors(image) for image in images}
        switch = '<label><input id="errors" type="checkbox"> Show where each model is wrong</label>'
        text = page.substitute(
            title=escape(
                " against ".join(job.models) if len(job.models) == 2 else f"{len(job.models)} models compared"
            ),
            lead=_lead(document),
            tables=_models(document) + _pairs(document),
            switch=switch if any(errors.values()) else "",
            legend="".join(_legend(document)),
            pictures="".join(self._article(job, image, errors[image.index]) for image in images),
            data=json.dumps(document, ensure_ascii=False, default=str).replace("<", "\\u003c"),
        )
        return text.encode()

    def _article(self, job: Job, image: JobImage, errors: Sequence[bytes]) -> str:
        assert image.comparison is not None
        share = _percent(image.comparison.agreement.disagreement)
        photo = self._photo(image)
        tiles = [_figure(photo, escape(image.name))] if photo else []
        for number, (name, result) in enumerate(zip(job.models, image.results, strict=True)):
            mask = next((each for each in result.artifacts if each.name == "mask"), None)
            layers = photo + self._layer(mask, "mask" if photo else "only", f"mask of {name}")
            layers += _picture(errors[number], "image/png", "wrong", f"where {name} is wrong") if errors else ""
            accuracy = result.metrics.pixel_accuracy
            told = "" if accuracy is None else f": {_percent(accuracy)} right"
            tiles.append(_figure(layers, escape(name) + told))
        maps = [self._layer(each, "only", "where the models differ") for each in image.comparison.artifacts]
        tiles += [_figure(each, f"they differ: {share}") for each in maps]
        return f'<article><h2>{escape(image.name)}</h2><div class="tiles">{"".join(tiles)}</div></article>\n'

    def _photo(self, image: JobImage) -> str:
        """Empty where the store has none, or none that a browser shows."""
        if not image.source.is_stored:
            return ""
        try:
            info = self.objects.info(image.source.location)
            if info.size > LARGEST or not is_shown(info.media_type):
                return ""
            return _picture(self.objects.get(info.key), info.media_type, "photo", f"the picture {image.name}")
        except ObjectNotFound:
            return ""

    def _layer(self, artifact: Artifact | None, kind: str, alt: str) -> str:
        if artifact is None or artifact.size > LARGEST:
            return ""
        return _picture(self.objects.get(artifact.key), artifact.media_type, kind, alt)


def _picture(data: bytes, media_type: str, kind: str, alt: str) -> str:
    address = f"data:{media_type};base64,{base64.b64encode(data).decode()}"
    return f'<img class="{kind}" alt="{escape(alt)}" src="{address}">'


def _figure(layers: str, caption: str) -> str:
    return f'<figure><div class="stack">{layers}</div><figcaption>{caption}</figcaption></figure>'


def _lead(document: Mapping[str, Any]) -> str:
    images = document["images"]
    told = f"{images['compared']} of {images['total']} images, {images['with_truth']} with ground truth"
    space, share = escape(document["label_space"]), _percent(document["disagreement"])
    return f"{told}; label space {space}. The models differ by {share}."


def _models(document: Mapping[str, Any]) -> str:
    rows = []
    for each in document["models"]:
        truth = each["metrics"].get("ground_truth") or {}
        interval = _between(each["miou_interval"], _percent)
        rows.append([each["model"], _percent(truth.get("miou")), interval, _percent(truth.get("pixel_accuracy"))])
    return _table("Models", ["model", "mIoU", "95 % interval", "pixel accuracy"], rows)


def _pairs(document: Mapping[str, Any]) -> str:
    rows = []
    for pair in document["pairs"]:
        truth = pair["ground_truth"] or {}
        chance = {True: "yes", False: "no", None: "not known"}[truth.get("beyond_chance")]
        rows.append(
            [
                " | ".join(pair["models"]),
                *(_percent(pair["agreement"]), _percent(pair["miou"])),
                *(_percent(truth.get("first_right")), _percent(truth.get("second_right"))),
                *(_points(truth.get("miou_difference")), _between(truth.get("interval"), _points), chance),
            ]
        )
    head = ["pair", "same pixels", "mIoU between them", "only the first right", "only the second right"]
    return _table("Pairs", [*head, "difference of mIoU", "95 % interval", "beyond chance"], rows)


def _table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(each)}</td>" for each in rest)}</tr>'
        for first, *rest in rows
    )
    inner = f"<table><caption>{caption}</caption><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{caption}">{inner}</div>\n'


def _legend(document: Mapping[str, Any]) -> Iterator[str]:
    for each in document["classes"]:
        colour = "#" + bytes(each["colour"]).hex()
        yield f'<li><span style="background:{colour}"></span>{escape(each["name"])}</li>'


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}".replace("%", " %")


def _points(difference: float | None) -> str:
    return "–" if difference is None else f"{difference * 100:+.1f} points"


def _between(interval: Sequence[float] | None, say: Callable[[float], str]) -> str:
    return "–" if interval is None else f"{say(interval[0])} to {say(interval[1])}"
