"""`python -m scenes`: what it writes, and what it refuses."""

import numpy as np
import pytest
from PIL import Image

from scenes import render_scene
from scenes.__main__ import main

SIZE = ["--size", "96x64"]


def test_the_folder_layout_has_a_mask_for_every_picture(tmp_path):
    assert main(["--count", "2", "--seed", "5", "--out", str(tmp_path), *SIZE]) == 0
    pictures = sorted(path.stem for path in (tmp_path / "images").iterdir())
    assert pictures == sorted(path.stem for path in (tmp_path / "masks").iterdir())
    assert len(pictures) == 2


def test_the_mask_on_disk_is_the_label_map_of_the_seed(tmp_path):
    main(["--count", "2", "--seed", "5", "--out", str(tmp_path), *SIZE])
    written = np.asarray(Image.open(tmp_path / "masks" / "scene_000001.png"))
    assert np.array_equal(written, render_scene(6, width=96, height=64).label_ids)


def test_the_cityscapes_layout_has_the_official_names(tmp_path):
    main(["--count", "1", "--out", str(tmp_path), "--layout", "cityscapes", "--split", "val", *SIZE])
    written = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png"))
    assert written == [
        "gtFine/val/maskmill/maskmill_000000_000019_gtFine_labelIds.png",
        "leftImg8bit/val/maskmill/maskmill_000000_000019_leftImg8bit.png",
    ]


def test_resume_renders_only_what_is_missing(tmp_path):
    main(["--count", "1", "--out", str(tmp_path), *SIZE])
    kept = tmp_path / "masks" / "scene_000000.png"
    kept.write_bytes(b"kept")
    main(["--count", "2", "--out", str(tmp_path), "--resume", *SIZE])
    assert kept.read_bytes() == b"kept"
    assert (tmp_path / "masks" / "scene_000001.png").exists()


def test_progress_goes_to_standard_error(tmp_path, capsys):
    main(["--count", "1", "--out", str(tmp_path), *SIZE])
    printed = capsys.readouterr()
    assert "1/1 scenes" in printed.err
    assert printed.out == ""


@pytest.mark.parametrize("wrong", [["--size", "12"], ["--size", "8x8"], ["--count", "0"], ["--split", "holiday"]])
def test_nonsense_is_refused(tmp_path, wrong):
    with pytest.raises(SystemExit):
        main(["--count", "1", "--out", str(tmp_path), *wrong])
