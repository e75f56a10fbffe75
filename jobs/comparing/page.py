"""`comparison.html` of an archive: the numbers, and the most contested images with every model's mask, worst first.

Pictures go in as they are stored: nothing that a client sent is decoded here but a ground truth. How it looks, the page
of `maskmill compare` shares (`jobs/comparing/pages`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from jobs.comparing import sections
from jobs.comparing.errors import Judged, Judging, colours_are_safe
from jobs.comparing.pages import parts, tiles, wording
from jobs.comparing.pages.parts import LETTERS, Html
from jobs.comparing.pages.shell import ResultPage, Section, title_of
from jobs.comparing.pages.tiles import Tile
from jobs.errors import ObjectNotFound
from jobs.inputs.inputs import Inputs
from jobs.inputs.optional import OptionalInputs
from jobs.job import Artifact, Job, JobImage
from segmentation.formats.mask import Mask
from segmentation.media_types import is_shown
from segmentation.palette import palette
from segmentation.picture_files.picture_kinds import HEAD_BYTES, sniff_media_type

COMPARISON_HTML = "comparison.html"
SHOWN = 12  # images, the most contested ones
LARGEST = 1_500_000  # bytes of a file that goes into the page


@dataclass(frozen=True, slots=True)
class JobPage:
    inputs: Inputs
    job: Job

    def render(self, document: Mapping[str, Any], images: Sequence[JobImage]) -> bytes:
        """document: as `comparison_document` tells. images: the most contested first."""
        short = [*sections.summary(document), *sections.warned(self.job.warnings)]
        page = ResultPage(
            title=title_of(self.job.models),
            lead=sections.lead(document),
            top=sections.top(document),
            sections=[
                Section("summary", "In short", parts.summary(short)),
                Section("scores", "Scores", sections.scores(document).html()),
                Section("pairs", "Agreement", sections.pairs(document).html()),
                Section("classes", "Classes", sections.classes(document).html()),
                Section("pictures", "Pictures", self._pictures(document, images)),
                Section("method", "How it was measured", sections.method()),
            ],
            made=Html(f"Made of <code>{self.job.id}</code>."),
            data=document,
        )
        return page.render().encode()

    def _pictures(self, document: Mapping[str, Any], images: Sequence[JobImage]) -> Html:
        inputs = OptionalInputs(self.inputs, self.job)
        judging = Judging(self.inputs.objects, inputs, self.job)
        found = [self._picture(image, _photo(inputs, image), judging(image)) for image in images]
        if not found:
            return Html("")
        return parts.joined(parts.paragraph(tiles.ABOUT), tiles.gallery(found, self._legend(document)))

    def _legend(self, document: Mapping[str, Any]) -> list[tuple[str, str]]:
        colours = palette(self.job.space, colour_blind_safe=colours_are_safe(self.job))
        named = [(each["name"], tiles.hex_of(colours[each["id"]].tolist())) for each in document["classes"]]
        return [*named, ("not labelled", tiles.hex_of(colours[self.job.space.void_id].tolist()))]

    def _picture(self, image: JobImage, photo: str, judged: Judged | None) -> tiles.Picture:
        assert image.comparison is not None
        share = wording.percent(image.comparison.agreement.disagreement)
        shown = [Tile(label=f"The picture {image.name}", caption="picture", kind="photo")] if photo else []
        if judged is not None:
            truth = tiles.address(judged.truth, "image/png")
            shown.append(Tile(label=f"The truth of {image.name}", caption="truth", layer=truth))
        masks = [self._mask(image, place, name) for place, name in enumerate(self.job.models)]
        wrong = [] if judged is None else [self._wrong(image, judged, place) for place in range(len(masks))]
        differs = self._differs(image.comparison.artifacts, share)
        gap: list[Tile | None] = [None] * (len(shown) - len(differs)) if wrong else []
        return tiles.Picture(
            key=f"picture-{image.index}",
            name=image.name,
            why=f"Among the most contested: the models differ by {share}.",
            photo=photo,
            size=(image.results[0].width, image.results[0].height),
            rows=[[*shown, *masks], [*differs, *gap, *wrong]],
        )

    def _mask(self, image: JobImage, place: int, name: str) -> Tile:
        result = image.results[place]
        mask = next((each for each in result.artifacts if each.name == Mask.name), None)
        caption = f"{LETTERS[place]}, {name}"
        data = None if mask is None else self._small(mask)
        if mask is None or data is None:
            return Tile(label=f"{caption}: no mask at hand", caption=f"{caption}: no mask at hand", kind="nothing")
        address = tiles.address(data, mask.media_type)
        return Tile(label=f"The mask of {caption}", caption=caption, layer=address)

    def _wrong(self, image: JobImage, judged: Judged, place: int) -> Tile:
        accuracy = image.results[place].metrics.pixel_accuracy
        share = wording.NONE if accuracy is None else wording.percent(1 - accuracy)
        letter = LETTERS[place]
        return Tile(
            label=f"{letter} is wrong on {share} of the labelled pixels",
            caption=f"{letter} wrong {share}",
            layer=tiles.address(judged.wrong[place], "image/png"),
            kind="stripes",
        )

    def _differs(self, artifacts: Sequence[Artifact], share: str) -> list[Tile | None]:
        """Where the models differ, the lighter the more; nothing when the job was not asked for it."""
        found = [(each.media_type, self._small(each)) for each in artifacts]
        return [
            Tile(
                label=f"Where the models differ, the lighter the more: {share}",
                caption=f"disagreement {share}",
                layer=tiles.address(data, media_type),
                kind="grey",
            )
            for media_type, data in found
            if data is not None
        ]

    def _small(self, artifact: Artifact) -> bytes | None:
        """None where it would not go into the page, or the store has lost it."""
        with suppress(ObjectNotFound):
            return self.inputs.objects.get(artifact.key) if artifact.size <= LARGEST else None
        return None


def _photo(inputs: OptionalInputs, image: JobImage) -> str:
    """Empty where it is not to be had, or is none that a browser shows: the page does without."""
    data = inputs.picture(image, most=LARGEST)
    media_type = None if data is None else sniff_media_type(data[:HEAD_BYTES])
    return "" if data is None or media_type is None or not is_shown(media_type) else tiles.address(data[:], media_type)
