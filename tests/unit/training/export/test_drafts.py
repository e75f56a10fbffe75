"""Where a bundle is made before it is published."""

import errno

import pytest

from training.export.files import drafts_folder


def test_the_folder_is_named_where_its_disk_takes_no_more() -> None:
    with pytest.raises(OSError, match="No space left") as caught, drafts_folder() as folder:
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(folder)
    assert not folder.exists()


def test_a_file_that_is_named_stays_so() -> None:
    with pytest.raises(FileNotFoundError) as caught, drafts_folder() as folder:
        (folder / "nowhere" / "model.onnx").write_bytes(b"")
    assert caught.value.filename == str(folder / "nowhere" / "model.onnx")
