"""Where the compiled loops are of no use, Python does their work."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from segmentation.formats.overlay import Overlay
from segmentation.label_spaces import get_label_space
from segmentation.palette import palette
from segmentation.preprocessing import Preprocessing
from worker.kernels import library as where
from worker.pipeline import network_input, upsample
from worker.pipeline.quick_formats import QuickOverlay


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which they are looked for."""
    monkeypatch.setattr(where, "__file__", str(tmp_path / "library.py"))
    where.library.cache_clear()
    yield tmp_path
    where.library.cache_clear()


def test_they_may_not_have_been_built(elsewhere: Path) -> None:
    assert where.library() is None


def test_a_file_that_is_none_is_told_and_left_alone(elsewhere: Path, caplog: pytest.LogCaptureFixture) -> None:
    (elsewhere / f"_kernels{EXTENSION_SUFFIXES[0]}").write_bytes(b"no library")
    with caplog.at_level(logging.WARNING):
        assert where.library() is None
    assert "Python does their work" in caplog.text


def test_those_of_another_source_are_left_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if where.library() is None:
        pytest.skip("there are none of any source")
    monkeypatch.setattr(where, "SOURCE", 0)
    where.library.cache_clear()
    try:
        with caplog.at_level(logging.WARNING):
            assert where.library() is None
        assert "install again" in caplog.text
    finally:
        where.library.cache_clear()


def test_the_number_of_their_source_is_its_checksum() -> None:
    lines = Path(where.__file__).with_name("kernels.c").read_bytes().splitlines(keepends=True)
    number = zlib.crc32(b"".join(each for each in lines if not each.startswith(b"#define SOURCE ")))
    assert b"#define SOURCE 0x%08xu\n" % number in lines, f"it has to be 0x{number:08x}, there and in library.py"
    assert number == where.SOURCE


@pytest.mark.parametrize("array", [np.zeros((4, 6), np.float32)[:, ::2], np.zeros(3)])
def test_what_c_would_take_for_other_values_is_refused(array: NDArray[Any]) -> None:
    with pytest.raises(TypeError, match="expected float32 in one piece"):
        where.address(array, np.float32)


@pytest.mark.usefixtures("elsewhere")
def test_python_does_the_same_without_them() -> None:
    random = np.random.default_rng(1)
    picture = random.integers(0, 256, (80, 120, 3), dtype=np.uint8)
    preprocessing = Preprocessing(long_side=96)
    tensor = network_input.network_input(preprocessing, picture)
    np.testing.assert_array_equal(tensor, preprocessing.apply(picture))
    ids = upsample.best_class(random.normal(size=(4, 10, 15)).astype(np.float32), 80, 120)
    assert ids.shape == (80, 120)
    colours = palette(get_label_space("camvid-11"))
    quick, plain = (each.blend(ids, picture, colours, 0.5) for each in (QuickOverlay(), Overlay()))
    np.testing.assert_array_equal(quick, plain)
