"""The bundled samples are rendered again from their seeds."""

import io

import numpy as np
import pytest
from PIL import Image

from data.sample_library import SampleLibrary, open_samples
from scenes.samples import main


def test_a_sample_rendered_again_has_the_same_mask(tmp_path):
    main(["rain-avenue-01", "--out", str(tmp_path)])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "rain-avenue-01.jpg",
        "rain-avenue-01_gtFine_labelIds.png",
    ]
    again = SampleLibrary(tmp_path)
    old, new = (np.asarray(Image.open(io.BytesIO(each.mask("rain-avenue-01")))) for each in (open_samples(), again))
    assert np.array_equal(old, new)


def test_an_unknown_sample_is_refused_by_the_command(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["holiday", "--out", str(tmp_path)])
    assert "there is no sample holiday" in capsys.readouterr().err
