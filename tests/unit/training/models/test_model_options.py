"""What the architectures promise beyond their contract: published details, first weights, errors that name choices."""

import hashlib

import training.torchvision_guard  # noqa: F401  isort: skip  before smp imports torchvision
import pytest
import segmentation_models_pytorch as smp
import timm
import torch
import transformers
from huggingface_hub import constants
from safetensors.torch import save, save_file
from torch import nn

from tests.hub_server import Hub, hub_server
from tests.tiny_architectures import TINY_OPTIONS, build, tiny_architecture
from training.models import output_stride
from training.models.dilatednet import context_module, dilatednet
from training.models.mask2former import LOWEST_SUM, Queries
from training.models.parts.errors import (
    EncoderNotFound,
    InvalidModelOption,
    RevisionNotPinned,
    UnsafeWeights,
    WeightsDamaged,
    WeightsDoNotFit,
    WeightsUnavailable,
)
from training.models.parts.pooling import AnySizeAveragePool

CLASSES = 4


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with hub_server(Hub()) as hub:
        template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield hub


@pytest.fixture(scope="module")
def segformer_folder(tmp_path_factory):
    torch.manual_seed(3)
    config = transformers.SegformerConfig(
        hidden_sizes=[8, 8, 16, 16], depths=[1] * 4, num_attention_heads=[1] * 4, decoder_hidden_size=8, num_labels=19
    )
    folder = tmp_path_factory.mktemp("segformer")
    transformers.SegformerForSemanticSegmentation(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("cells", [1, 2, 3, 6])
@pytest.mark.parametrize("size", [(1, 1), (4, 7), (12, 6), (5, 32)], ids=str)
def test_pooling_gives_what_adaptive_pooling_does(cells, size):
    features = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    expected = nn.AdaptiveAvgPool2d(cells)(features)
    assert torch.allclose(AnySizeAveragePool(cells)(features), expected, atol=1e-6)


@pytest.mark.parametrize("widths", [(1,) * 7, (2, 2, 4, 8, 16, 32, 32)], ids=["basic", "large"])
def test_a_context_module_begins_as_the_identity(widths):
    torch.manual_seed(0)
    module = context_module(CLASSES, [width * CLASSES for width in widths])
    evidence = torch.rand(1, CLASSES, 12, 20)  # not negative: its layers are truncated at 0
    with torch.inference_mode():
        assert torch.allclose(module(evidence), evidence, atol=0.05)


def test_a_dilated_vgg_with_the_large_context_keeps_an_eighth_of_the_picture():
    assert output_stride(dilatednet(CLASSES, encoder="vgg11_bn", context="large", front_channels=8)) == 8


def test_deeplabv3_halves_its_stride():
    assert output_stride(build("deeplabv3", CLASSES, encoder="resnet18", stride=8, decoder_channels=8)) == 8


def test_evidence_is_the_sum_over_queries_of_class_times_mask():
    generator = torch.Generator().manual_seed(2)
    classes, masks = torch.randn(1, 3, 3, generator=generator), torch.randn(1, 3, 2, 2, generator=generator)
    expected = torch.zeros(2, 2, 2)
    for query in range(3):
        for channel in range(2):  # the third is "none"
            expected[channel] += classes[0, query].softmax(0)[channel] * masks[0, query].sigmoid()
    assert torch.allclose(Queries(classes, masks).evidence()[0], expected)


def test_the_logits_of_mask2former_are_the_logarithm_of_the_evidence():
    model = tiny_architecture("mask2former", CLASSES).eval()
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        logits, evidence = model(image), model.queries(image).evidence()
    assert torch.allclose(logits.exp(), evidence.clamp(min=LOWEST_SUM))
    assert torch.allclose(logits.softmax(1), evidence / evidence.sum(1, keepdim=True), atol=1e-5)


@pytest.mark.parametrize("ignored", [[0], [0, 1]], ids=["one picture", "all pictures"])
@pytest.mark.parametrize("name", ["mask2former", "fcn_resnet50"])
def test_a_picture_of_which_no_pixel_counts_does_not_break_the_loss(name, ignored):
    model = tiny_architecture(name, CLASSES)
    truth = torch.ones(2, 64, 64, dtype=torch.int64)
    truth[ignored] = 255
    loss = model.own_loss(torch.randn(2, 3, 64, 64), truth)
    loss.backward()
    assert loss.isfinite()


def test_the_set_loss_is_computed_beside_bfloat16():
    model = tiny_architecture("mask2former", CLASSES)
    truth = torch.ones(1, 64, 64, dtype=torch.int64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model.own_loss(torch.randn(1, 3, 64, 64), truth).isfinite()


def test_encoder_weights_come_from_the_commit_that_smp_pins(hub):
    source = smp.encoders.encoders["resnet18"]["pretrained_settings"]["imagenet"]
    torch.manual_seed(7)
    weights = smp.encoders.get_encoder("resnet18", weights=None).state_dict()
    files = {"model.safetensors": save({name: tensor.contiguous() for name, tensor in weights.items()})}
    hub.commits[source["repo_id"]] = {source["revision"]: files}
    model = build("fcn_resnet50", CLASSES, encoder="resnet18", encoder_weights="imagenet")
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.encoder.state_dict().items())
    assert hub.downloads == ["model.safetensors"]


def test_weights_for_an_encoder_of_timm_come_from_the_commit_that_is_named(hub):
    encoder = "mobilenetv3_small_050"
    weights = {name: tensor.contiguous() for name, tensor in timm.create_model(encoder).state_dict().items()}
    commit = hub.add(timm.get_pretrained_cfg(encoder).hf_hub_id, "main", {"model.safetensors": save(weights)})
    model = build("unet", CLASSES, **{**TINY_OPTIONS["unet"], "encoder_weights": commit})
    assert torch.equal(model.encoder.model.conv_stem.weight, weights["conv_stem.weight"])


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"encoder": "resnet19"}, EncoderNotFound, "resnet18, "),
        ({"encoder": "tu-nothing"}, EncoderNotFound, "timm"),
        ({"encoder": "resnet18", "encoder_weights": "coco"}, InvalidModelOption, "imagenet"),
        ({"encoder": "tu-mobilenetv3_small_050", "encoder_weights": "main"}, RevisionNotPinned, "40 lower-case"),
    ],
)
def test_a_wrong_encoder_is_answered_with_what_could_be_chosen(options, error, said):
    with pytest.raises(error, match=said):
        build("unet", CLASSES, **options)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("segformer", {"size": "b9"}, "b0, b1"),
        ("mask2former", {"size": "huge"}, "swin_tiny"),
        ("dilatednet", {"context": "huge"}, "none, basic, large"),
        ("dilatednet", {"encoder": "resnet18"}, "vgg16"),
        ("pspnet", {"encoder_depth": 4}, "3, 5"),
        ("fcn_resnet50", {"auxiliary_share": 2.0}, "0 to 1"),
        ("segformer", {"folder": "x", "hub": "a/b"}, "nothing beside folder"),
        ("segformer", {"pretrained": "encoder"}, "true or false without folder or hub"),
        ("mask2former", {"pretrained": "decoder", "folder": "x"}, "true, false, 'encoder'"),
    ],
)
def test_a_wrong_option_is_answered_with_what_is_allowed(name, options, said):
    with pytest.raises(InvalidModelOption, match=said):
        build(name, CLASSES, **options)


def test_an_encoder_that_cannot_be_dilated_is_refused():
    with pytest.raises(InvalidModelOption, match="vgg11"):
        build("deeplabv3", CLASSES, encoder="vgg11")


def test_a_folder_gives_its_weights_and_its_classifier_when_the_classes_agree(segformer_folder):
    theirs = transformers.SegformerForSemanticSegmentation.from_pretrained(segformer_folder).state_dict()
    same = build("segformer", 19, folder=str(segformer_folder)).network
    other = build("segformer", CLASSES, folder=str(segformer_folder)).network
    assert same.training
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in same.state_dict().items())
    differing = {name for name, tensor in other.state_dict().items() if not torch.equal(tensor, theirs[name])}
    assert differing == {"decode_head.classifier.weight", "decode_head.classifier.bias"}


def test_without_weights_a_folder_gives_the_size_alone(segformer_folder, tmp_path):
    (tmp_path / "config.json").write_bytes((segformer_folder / "config.json").read_bytes())
    model = build("segformer", CLASSES, folder=tmp_path, pretrained=False)
    assert model.network.config.hidden_sizes == [8, 8, 16, 16]


def test_a_hub_model_is_fetched_once_at_a_full_commit(hub, segformer_folder):
    commit = hub.add("owner/toy", "main", {path.name: path.read_bytes() for path in segformer_folder.iterdir()})
    for _ in range(2):
        build("segformer", CLASSES, hub=f"owner/toy@{commit}")
    assert sorted(hub.downloads) == ["config.json", "model.safetensors"]


def test_a_hub_model_in_several_files_is_fetched_whole(hub, segformer_folder, tmp_path):
    network = transformers.SegformerForSemanticSegmentation.from_pretrained(segformer_folder)
    network.save_pretrained(tmp_path / "parts", max_shard_size="20KB")
    files = {path.name: path.read_bytes() for path in (tmp_path / "parts").iterdir()}
    assert "model.safetensors" not in files
    model = build("segformer", 19, hub=f"owner/parts@{hub.add('owner/parts', 'main', files)}")
    assert torch.equal(
        model.network.state_dict()["decode_head.classifier.weight"], network.decode_head.classifier.weight
    )


@pytest.mark.parametrize("commit", ["", "@", "@main", "@refs/pr/3", f"@{'a' * 39}", f"@{'A' * 40}"])
def test_what_can_change_is_no_commit(commit):
    with pytest.raises(RevisionNotPinned, match="40 lower-case hexadecimal digits"):
        build("segformer", CLASSES, hub=f"owner/toy{commit}")


def test_pickles_are_not_read(hub, segformer_folder, tmp_path):
    config = (segformer_folder / "config.json").read_bytes()
    commit = hub.add("owner/toy", "main", {"config.json": config, "pytorch_model.bin": b"a pickle"})
    with pytest.raises(UnsafeWeights, match="owner/toy"):
        build("segformer", CLASSES, hub=f"owner/toy@{commit}")
    folder = tmp_path / "pickled"
    folder.mkdir()
    (folder / "config.json").write_bytes(config)
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(UnsafeWeights, match=r"it has: config\.json, pytorch_model\.bin"):
        build("segformer", CLASSES, folder=str(folder))
    assert "pytorch_model.bin" not in hub.downloads


def test_an_index_cannot_name_a_pickle(hub, segformer_folder):
    index = b'{"metadata": {}, "weight_map": {"a": "../pytorch_model.bin"}}'
    files = {"config.json": (segformer_folder / "config.json").read_bytes(), "model.safetensors.index.json": index}
    with pytest.raises(UnsafeWeights, match="pytorch_model"):
        build("segformer", CLASSES, hub=f"owner/toy@{hub.add('owner/toy', 'main', files)}")


def test_a_damaged_file_is_deleted_and_fetched_again(hub, segformer_folder):
    files = {path.name: path.read_bytes() for path in segformer_folder.iterdir()}
    commit = hub.add("owner/toy", "main", files)
    hub.damaged.add("model.safetensors")
    with pytest.raises(WeightsDamaged, match=hashlib.sha256(files["model.safetensors"]).hexdigest()):
        build("segformer", CLASSES, hub=f"owner/toy@{commit}")
    hub.damaged.clear()
    assert build("segformer", CLASSES, hub=f"owner/toy@{commit}")


def test_what_is_not_there_is_said_to_be_unavailable(hub, tmp_path):
    with pytest.raises(WeightsUnavailable, match="owner/none"):
        build("segformer", CLASSES, hub=f"owner/none@{'0' * 40}")
    with pytest.raises(WeightsUnavailable, match=r"no config\.json"):
        build("segformer", CLASSES, folder=str(tmp_path))


def test_without_a_network_a_hub_model_is_said_to_be_unavailable(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsUnavailable, match="cannot be fetched"):
        build("segformer", CLASSES, hub=f"owner/toy@{'0' * 40}")


def test_weights_of_another_architecture_are_refused(segformer_folder, tmp_path):
    with pytest.raises(WeightsDoNotFit, match="expected 'mask2former'"):
        build("mask2former", CLASSES, folder=str(segformer_folder))
    (tmp_path / "config.json").write_bytes((segformer_folder / "config.json").read_bytes())
    save_file({"something.else": torch.zeros(2)}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsDoNotFit, match="differ in"):
        build("segformer", CLASSES, folder=str(tmp_path))
