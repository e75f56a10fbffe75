"""Random changes to a picture and its mask, in NumPy and OpenCV. The caller brings the random generator."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.preprocessing import IMAGENET_MEAN, normalised
from training.datasets import camera

Picture = NDArray[np.uint8]
Mask = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What of a picture the network sees at a time."""

    crop: tuple[int, int]  # height, width in pixels
    scale: tuple[float, float]  # lowest and highest enlargement of the source picture before the crop


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How strongly pictures are varied. Strengths are half-widths around "unchanged"; 0 turns a change off."""

    aspect: float = 0.1  # width over height varies by a factor of 1 ± aspect
    flip: float = 0.5  # probability
    brightness: float = 0.3
    contrast: float = 0.3
    saturation: float = 0.4
    tint: float = 0.1  # gain of each channel
    blur: float = 0.1  # probability
    rare_crop: float = 0.0  # probability that the crop is centred on a pixel of a rare class
    gamma: float = 0.0  # the camera's response: the exponent varies by a factor of 2 ** ± gamma
    noise: float = 0.0  # probability
    haze: float = 0.0  # probability
    night: float = 0.0  # probability
    jpeg: float = 0.0  # probability
    paste: float = 0.0  # probability that small things of another picture are pasted in

    def __call__(
        self, picture: Picture, mask: Mask, *, view: View, ignore_id: int, rng: np.random.Generator
    ) -> tuple[Picture, Mask]:
        """picture (H,W,3), mask (H,W) -> the same of size `view.crop`, aligned; padding is `ignore_id`."""
        picture, mask = self._scaled_crop(picture, mask, view, ignore_id, rng)
        if rng.random() < self.flip:
            picture, mask = picture[:, ::-1], mask[:, ::-1]
        picture = self._recoloured(np.ascontiguousarray(picture), rng)
        picture = self._filmed(picture, rng)
        if rng.random() < self.blur:
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.3, 1.2))), dtype=np.uint8)
        return picture, np.ascontiguousarray(mask)

    def _scaled_crop(
        self, picture: Picture, mask: Mask, view: View, ignore_id: int, rng: np.random.Generator
    ) -> tuple[Picture, Mask]:
        """Cut a window out of the source and resize it to the crop: cheaper than resizing the whole picture first."""
        height, width = mask.shape
        crop = view.crop
        scale = float(np.exp(rng.uniform(*np.log(view.scale))))
        stretch = float(1 + rng.uniform(-self.aspect, self.aspect))
        window_h, window_w = (max(1, round(side)) for side in (crop[0] / scale, crop[1] / (scale * stretch)))
        centre = _rare_pixel(mask, ignore_id, rng) if rng.random() < self.rare_crop else None
        top = _offset(height, window_h, None if centre is None else centre[0], rng)
        left = _offset(width, window_w, None if centre is None else centre[1], rng)
        picture_window, mask_window = _window(picture, mask, (top, left, window_h, window_w), ignore_id)
        size = (crop[1], crop[0])
        smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        resized = cv2.resize(picture_window, size, interpolation=smooth)
        labels = cv2.resize(mask_window, size, interpolation=cv2.INTER_NEAREST_EXACT)
        return np.asarray(resized, dtype=np.uint8), np.asarray(labels, dtype=np.uint8)

    def _filmed(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """What a camera and the weather do. Nothing is drawn for what is off, so that old recipes draw as before."""
        if self.gamma:
            picture = camera.with_gamma(picture, float(2 ** rng.uniform(-self.gamma, self.gamma)))
        for probability, change in (
            (self.haze, camera.with_haze),
            (self.night, camera.at_night),
            (self.noise, camera.with_noise),
            (self.jpeg, camera.as_jpeg),
        ):
            if probability and rng.random() < probability:
                picture = change(picture, rng)
        return picture

    def _recoloured(self, picture: Picture, rng: np.random.Generator) -> Picture:
        contrast = 1 + rng.uniform(-self.contrast, self.contrast)
        shift = 255 * rng.uniform(-self.brightness, self.brightness) * 0.5
        gains = contrast * (1 + rng.uniform(-self.tint, self.tint, size=3))
        levels = np.arange(256, dtype=np.float64)[:, None]
        table = np.clip((levels - 128) * gains + 128 + shift, 0, 255).astype(np.uint8)
        varied = np.asarray(cv2.LUT(picture, table[None]), dtype=np.uint8)
        saturation = float(1 + rng.uniform(-self.saturation, self.saturation))
        grey = cv2.cvtColor(cv2.cvtColor(varied, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        return np.asarray(cv2.addWeighted(varied, saturation, grey, 1 - saturation, 0), dtype=np.uint8)


SMALL = 0.05  # of the donor: classes that cover no more are pasted


def with_small_things(
    picture: Picture, mask: Mask, donor: tuple[Picture, Mask], *, ignore_id: int
) -> tuple[Picture, Mask]:
    """The picture with what the donor, of the same size, shows of classes that cover little of it: poles, people.

    Source: ClassMix (Olsson et al. 2021), with the small classes instead of half of them.
    """
    donor_picture, donor_mask = donor
    counts = np.bincount(donor_mask.ravel(), minlength=256)
    small = (counts > 0) & (counts <= SMALL * donor_mask.size)
    small[ignore_id] = False
    pasted = small[donor_mask]
    return np.where(pasted[..., None], donor_picture, picture), np.where(pasted, donor_mask, mask)


def normalise(picture: Picture) -> NDArray[np.float32]:
    """(H,W,3) 0..255 -> (H,W,3) with ImageNet's mean and deviation, as a served picture is."""
    return np.moveaxis(normalised(picture), 0, 2)


def _offset(length: int, window: int, centre: int | None, rng: np.random.Generator) -> int:
    """Where a window starts; negative where it is longer than the picture and needs padding."""
    low, high = min(0, length - window), max(0, length - window)
    if centre is None:
        return int(rng.integers(low, high + 1))
    wanted = centre - window // 2 + int(rng.integers(-window // 4, window // 4 + 1))
    return int(np.clip(wanted, low, high))


def _rare_pixel(mask: Mask, ignore_id: int, rng: np.random.Generator) -> tuple[int, int] | None:
    """A random pixel of a random class present, so that small classes are seen as often as large ones."""
    present = [int(i) for i in np.flatnonzero(np.bincount(mask.ravel(), minlength=256)) if i != ignore_id]
    if not present:
        return None
    rows, columns = np.nonzero(mask == rng.choice(present))
    pick = int(rng.integers(len(rows)))
    return int(rows[pick]), int(columns[pick])


def _window(
    picture: Picture, mask: Mask, box: tuple[int, int, int, int], ignore_id: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The part (top, left, height, width) of both; what lies outside is grey and ignored."""
    top, left, height, width = box
    inside = (slice(max(top, 0), top + height), slice(max(left, 0), left + width))
    picture_part, mask_part = picture[inside], mask[inside]
    above, before = max(-top, 0), max(-left, 0)
    below, after = height - above - mask_part.shape[0], width - before - mask_part.shape[1]
    if above or before or below or after:
        border = (above, below, before, after)
        grey = tuple(round(255 * m) for m in IMAGENET_MEAN)
        picture_part = np.asarray(cv2.copyMakeBorder(picture_part, *border, cv2.BORDER_CONSTANT, value=grey))
        mask_part = np.asarray(cv2.copyMakeBorder(mask_part, *border, cv2.BORDER_CONSTANT, value=(ignore_id,)))
    return picture_part, mask_part
