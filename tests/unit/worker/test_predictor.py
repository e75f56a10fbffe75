"""From the bytes of pictures of every kind to label maps, through the real pipeline and a tiny real network."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from jobs.errors import ModelFailed, ModelNotFound
from jobs.options import TileOptions
from jobs.processing.picture_ports import Prediction
from segmentation.errors import ImageTooLarge
from segmentation.label_map import LabelMap
from segmentation.picture_files.picture_rows import PictureRows
from segmentation.picture_files.pictures import decode_picture
from segmentation.preprocessing import Preprocessing
from storage.catalog import Bundle
from storage.settings import StorageSettings
from tests.factories import make_card, picture
from tests.tiny_models import BLUE, GREEN, RED, tailed_bundle, tiny_bundle
from worker.engines import EngineRules
from worker.pipeline.batcher import Batcher, BatchRules
from worker.pipeline.budget import Budget
from worker.pipeline.model_cache import LoadedModel, ModelCache
from worker.pipeline.predictor import Predictor
from worker.runtime import open_models
from worker.settings import WorkerSettings
from worker.watchdog import Watchdog

SMALL = make_card().preprocessing


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_bundle(folder)
    tiny_bundle(folder, name="pets", label_space="oxford-pets-3")  # 11 classes where the space has 3
    tiny_bundle(folder, name="full-size", preprocessing=replace(SMALL, long_side=256))
    for tail in ("Softmax", "Sigmoid"):
        tailed_bundle(folder, name=tail.lower(), tail=tail)
    return folder


@pytest.fixture(scope="module")
def predictor(folder: Path) -> Iterator[Predictor]:
    storage = StorageSettings(home=folder / "home", model_folders=[folder])
    rules = EngineRules(device="cpu", max_batch=2, streams=2, cpus=2)
    models = open_models(WorkerSettings(home=folder / "home"), storage, rules, Watchdog(0))
    yield Predictor(models=models)
    models.close()


def file(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def halves(top: tuple[int, int, int], bottom: tuple[int, int, int], size: tuple[int, int] = (96, 64)) -> Image.Image:
    image = Image.new("RGB", size, bottom)
    image.paste(top, (0, 0, size[0], size[1] // 2))
    return image


def segment(predictor: Predictor, data: bytes, tile: TileOptions | None = None, model: str = "tiny") -> Prediction:
    pixels = decode_picture(data, max_pixels=1_000_000)
    return predictor.segment(pixels, model=model, tile=tile, check=lambda: None)


def ends(ids: NDArray[np.uint8]) -> tuple[int, int]:
    """The class in the middle of the top and of the bottom edge."""
    return int(ids[0, ids.shape[1] // 2]), int(ids[-1, ids.shape[1] // 2])


def test_a_picture_is_segmented_at_its_own_size(predictor: Predictor):
    prediction = segment(predictor, file(halves(RED, BLUE, (321, 123))))
    label_map = prediction.label_map
    assert label_map.ids.shape == (123, 321)
    assert ends(label_map.ids) == (0, 2)
    assert label_map.space.name == "camvid-11"
    assert prediction.identity.version == "1"
    assert prediction.identity.device == f"{prediction.identity.engine} cpu {prediction.identity.precision}"


def test_it_says_how_sure_it_is(predictor: Predictor):
    prediction = segment(predictor, file(halves(RED, BLUE)))
    confidence, doubts = prediction.certainty()
    assert confidence is not None
    assert confidence.shape == (64, 96)
    assert confidence.dtype == np.uint8
    assert 0 < confidence.mean() < 255
    assert 0 < (doubts.mean_entropy or 0) < 1


def test_it_says_where_the_time_went(predictor: Predictor):
    steps = {"load", "preprocess", "queue", "infer", "upsample"}
    for tile, own in ((None, set[str]()), (TileOptions(size=64, overlap=16), {"confidence"})):
        timings = segment(predictor, file(halves(RED, BLUE)), tile).timings_ms
        assert steps | own <= timings.keys()
        assert all(value >= 0 for value in timings.values())


def test_a_picture_on_its_side_is_turned_upright(predictor: Predictor):
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    prediction = segment(predictor, file(halves(RED, BLUE), "JPEG", quality=95, exif=exif))
    assert ends(prediction.label_map.ids) == (2, 0)
    exif[0x0112] = 6  # a quarter turn
    prediction = segment(predictor, file(halves(RED, BLUE), "JPEG", quality=95, exif=exif))
    assert prediction.label_map.ids.shape == (96, 64)


PICTURES = {
    "jpeg": file(halves(RED, BLUE), "JPEG", quality=95),
    "webp": file(halves(RED, BLUE), "WEBP", lossless=True),
    "tiff": file(halves(RED, BLUE), "TIFF"),
    "bmp": file(halves(RED, BLUE), "BMP"),
    "cmyk jpeg": file(halves(RED, BLUE).convert("CMYK"), "JPEG", quality=95),
    "alpha png": file(halves(RED, BLUE).convert("RGBA")),
    "palette png": file(halves(RED, BLUE).quantize(8)),
    "animated png": file(halves(RED, BLUE), save_all=True, append_images=[halves(GREEN, GREEN)]),
    "animated webp": file(
        halves(RED, BLUE), "WEBP", lossless=True, save_all=True, append_images=[halves(GREEN, GREEN)]
    ),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_pictures_of_every_kind_are_read(predictor: Predictor, kind: str):
    assert ends(segment(predictor, PICTURES[kind]).label_map.ids) == (0, 2)


@pytest.mark.parametrize("mode", ["L", "LA", "1", "I;16"])
def test_grey_pictures_are_read(predictor: Predictor, mode: str):
    grey = Image.new("I;16", (40, 30), 40_000) if mode == "I;16" else Image.new("L", (40, 30), 200).convert(mode)
    assert segment(predictor, file(grey)).label_map.ids.shape == (30, 40)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (7, 3), (999, 1000)])
def test_pictures_of_any_size_are_segmented(predictor: Predictor, size: tuple[int, int]):
    assert segment(predictor, file(Image.new("RGB", size, GREEN))).label_map.ids.tolist() == np.ones(
        (size[1], size[0])
    ).astype(int).tolist()  # fmt: skip


def test_a_model_that_is_not_there_is_named(predictor: Predictor):
    with pytest.raises(ModelNotFound):
        segment(predictor, picture(), model="other")


def test_a_model_with_the_wrong_number_of_classes_is_refused(predictor: Predictor):
    with pytest.raises(ModelFailed, match="11 classes"):
        segment(predictor, picture(), model="pets")


def test_a_model_that_gives_no_numbers_fails_the_image():
    class Overflowing:
        device = "overflowing cpu"
        file = "onnx"
        max_batch = 1

        def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.full((len(batch), 11, 8, 8), np.nan, np.float32)

        def close(self) -> None:
            pass

    class OneBundle:
        def get(self, name: str) -> Bundle:
            return Bundle(card=make_card(name), folder=Path())

    def load(bundle: Bundle) -> LoadedModel:
        engine = Overflowing()
        batcher = Batcher(engine.run, BatchRules(), name=bundle.card.name, watchdog=Watchdog(0))
        return LoadedModel(bundle.card, bundle.space(), engine, batcher, 1)

    models = ModelCache(OneBundle(), load, limit_bytes=1)
    with pytest.raises(ModelFailed, match="no numbers"):
        segment(Predictor(models=models), picture())
    models.close()


def test_many_threads_get_the_ids_of_their_own_pictures(predictor: Predictor):
    pairs = [(top, bottom) for top in (RED, GREEN, BLUE) for bottom in (RED, GREEN, BLUE)] * 4
    files = [file(halves(*pair, size=(96 + 8 * (n % 3), 64))) for n, pair in enumerate(pairs)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda data: ends(segment(predictor, data).label_map.ids), files))
    assert found == [((RED, GREEN, BLUE).index(top), (RED, GREEN, BLUE).index(bottom)) for top, bottom in pairs]


def test_tiles_see_what_is_lost_when_a_large_picture_is_shrunk(predictor: Predictor):
    image = Image.new("RGB", (900, 600), GREEN)
    for x in range(0, 900, 60):
        image.paste(RED, (x, 0, x + 8, 600))
    share = [
        segment(predictor, file(image), tile).label_map.class_fractions().get("sky", 0.0)
        for tile in (None, TileOptions(size=64, overlap=16))
    ]
    assert share[0] < share[1] / 2
    assert share[1] == pytest.approx(8 / 60, abs=0.03)


def test_it_stops_between_tiles_when_nobody_waits_any_more(predictor: Predictor):
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("canceled")

    pixels = np.zeros((640, 640, 3), np.uint8)
    with pytest.raises(RuntimeError, match="canceled"):
        predictor.segment(pixels, model="tiny", tile=TileOptions(size=64, overlap=0), check=check)


def test_a_picture_beyond_the_budget_is_refused_by_its_size(predictor: Predictor):
    small = replace(predictor, budget=Budget(tiles=10, tile_bytes=100_000))
    small.check_budget(10**6, 10**6, models=["tiny"], tile=None)
    with pytest.raises(ImageTooLarge, match="100 runs"):
        small.check_budget(640, 640, models=["tiny"], tile=TileOptions(size=64, overlap=0))
    with pytest.raises(ImageTooLarge, match="memory with full-size"):
        small.check_budget(128, 64, models=["tiny", "full-size"], tile=TileOptions(size=64, overlap=0))
    with pytest.raises(ModelNotFound):
        small.check_budget(64, 64, models=["other"], tile=TileOptions())


def test_where_a_tile_lies_alone_the_ids_are_those_of_that_tile(predictor: Predictor):
    pixels = np.asarray(Image.open(io.BytesIO(picture(300, 200))).resize((300, 200)).reduce(4).resize((300, 200)))
    whole = segment(predictor, file(Image.fromarray(pixels)), TileOptions(size=128, overlap=32), "full-size")
    corner = segment(predictor, file(Image.fromarray(pixels[:128, :128])), None, "full-size")
    np.testing.assert_array_equal(whole.label_map.ids[:72, :80], corner.label_map.ids[:72, :80])
    assert whole.label_map.ids.shape == (200, 300)


def test_a_picture_smaller_than_a_tile_is_the_same_with_and_without(predictor: Predictor):
    data = picture(90, 70)
    with_tiles = segment(predictor, data, TileOptions(size=512, overlap=64))
    np.testing.assert_array_equal(with_tiles.label_map.ids, segment(predictor, data).label_map.ids)


def test_the_networks_input_is_what_the_card_says(folder: Path, predictor: Predictor):
    tiny_bundle(folder, name="exact", preprocessing=Preprocessing(resize="exact", height=32, width=64))
    assert segment(predictor, file(halves(RED, BLUE, (50, 200))), model="exact").label_map.ids.shape == (200, 50)


@pytest.mark.parametrize("model", ["softmax", "sigmoid"])
@pytest.mark.parametrize("tile", [None, TileOptions(size=64, overlap=16)])
def test_outputs_that_are_probabilities_give_their_own_confidence(
    predictor: Predictor, model: str, tile: TileOptions | None
):
    found = segment(predictor, file(halves(RED, BLUE)), tile, model)
    assert ends(found.label_map.ids) == (0, 2)
    confidence, doubts = found.certainty()
    assert confidence is not None
    assert np.median(confidence) == 255
    assert doubts.mean_entropy is not None
    assert doubts.mean_entropy < 0.05


class Rows:
    """Rows of a picture in memory."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self.pixels, self.at = pixels, 0
        self.height, self.width = pixels.shape[:2]

    def read(self, count: int) -> NDArray[np.uint8]:
        self.at += count
        return self.pixels[self.at - count : self.at]

    def notices(self) -> tuple[()]:
        return ()


def test_a_picture_by_rows_has_the_ids_of_the_same_tiles_in_memory(predictor: Predictor):
    pixels = np.random.default_rng(1).integers(0, 256, (333, 250, 3), np.uint8)
    tile = TileOptions(size=96, overlap=20)
    whole = predictor.segment(pixels, model="tiny", tile=tile, check=lambda: None)
    bands: list[LabelMap] = []
    rows = PictureRows(Rows(pixels), lambda seen: None)
    said = predictor.segment_rows(rows, model="tiny", tile=tile, check=lambda: None, take=bands.append)
    assert np.array_equal(np.concatenate([each.ids for each in bands]), whole.label_map.ids)
    sure = [each.confidence for each in bands if each.confidence is not None]
    confidence, doubts = whole.certainty()
    assert confidence is not None
    assert np.array_equal(np.concatenate(sure), confidence)
    assert said.doubts == doubts
    assert said.identity == whole.identity
