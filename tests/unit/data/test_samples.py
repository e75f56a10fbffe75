"""The bundled samples: looked up by id, never by path."""

import io

import numpy as np
import pytest
from PIL import Image

from data.sample_library import LABEL_SPACE, SAMPLES_FOLDER, SampleLibrary, SampleNotFound, open_samples
from scenes.samples import SAMPLES, SIZE
from segmentation.label_spaces import get_label_space

LIBRARY = open_samples()


def test_every_sample_of_the_list_is_bundled():
    assert set(LIBRARY.ids()) == set(SAMPLES)
    assert len(SAMPLES) == 12


def test_the_samples_together_stay_small():
    assert sum(path.stat().st_size for path in SAMPLES_FOLDER.iterdir()) < 3_000_000


@pytest.mark.parametrize("sample_id", sorted(SAMPLES))
def test_picture_and_mask_fit_together(sample_id):
    picture = Image.open(io.BytesIO(LIBRARY.picture(sample_id)))
    mask = Image.open(io.BytesIO(LIBRARY.mask(sample_id)))
    assert picture.size == mask.size == SIZE
    assert (picture.mode, mask.mode) == ("RGB", "L")
    assert set(np.unique(np.asarray(mask)).tolist()) <= set(get_label_space(LABEL_SPACE).by_id)


@pytest.mark.parametrize(
    "strange", ["", ".", "..", "../secret", "/etc/passwd", "a\0b", "day-park-01.jpg", "DAY-PARK-01"]
)
def test_an_id_is_never_a_path(tmp_path, strange):
    folder = tmp_path / "samples"
    folder.mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (folder / "day-park-01.jpg").write_bytes(b"picture")
    library = SampleLibrary(folder)
    for read in (library.picture, library.mask):
        with pytest.raises(SampleNotFound):
            read(strange)


def test_the_error_names_what_there_is(tmp_path):
    (tmp_path / "market.jpg").write_bytes(b"picture")
    with pytest.raises(SampleNotFound, match="market"):
        SampleLibrary(tmp_path).picture("bazaar")
