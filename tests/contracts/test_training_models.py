"""What every architecture of MODELS must do: any size, both directions, and the same numbers from its exported file."""

import onnxruntime
import pytest
import torch

from training.evaluate import onnx_predictor
from training.exported_files import export_onnx, export_torchscript
from training.loop import build_optimiser, train_step
from training.losses import SegmentationLoss
from training.models import MODELS, OUTPUT_STRIDE
from training.recipe import OptimiserChoice

CLASSES = 5


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small tensors gain nothing from more, and threads that wait for one another lose much on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    torch.manual_seed(0)
    return MODELS[request.param](CLASSES)


@pytest.fixture(scope="module")
def onnx_file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export_onnx(model, path)
    return path


@pytest.mark.parametrize("size", [(1, 32, 64), (3, 96, 32), (2, 64, 160)], ids=str)
def test_logits_have_a_quarter_of_any_size(model, size):
    batch, height, width = size
    model.eval()
    with torch.inference_mode():
        logits = model(torch.zeros(batch, 3, height, width))
    assert logits.shape == (batch, CLASSES, height // OUTPUT_STRIDE, width // OUTPUT_STRIDE)


def test_every_weight_learns(model):
    model.train()
    model.zero_grad()
    model(torch.randn(2, 3, 64, 64)).square().sum().backward()
    silent = [name for name, weight in model.named_parameters() if weight.grad is None]
    assert not silent


def test_steps_on_one_batch_lower_its_loss(model):
    model.train()
    torch.manual_seed(1)
    batch = torch.randn(2, 3, 64, 64), torch.tensor([0, 3])[:, None, None].expand(2, 64, 64)
    optimiser = build_optimiser(model, OptimiserChoice(learning_rate=1e-3))
    losses = [train_step(model, SegmentationLoss(ignore_id=255), optimiser, batch) for _ in range(3)]
    assert losses[-1] < losses[0]


def test_the_onnx_file_computes_what_the_model_does(model, onnx_file):
    image = torch.randn(3, 64, 128, generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        expected = model.eval()(image[None])[0]
    got = onnx_predictor(onnx_file)(image.numpy())
    assert got == pytest.approx(expected.numpy(), abs=0.02 * float(expected.abs().max()))


def test_the_onnx_file_names_its_ends_and_takes_any_size(onnx_file):
    session = onnxruntime.InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
    (image,), (logits,) = session.get_inputs(), session.get_outputs()
    assert (image.name, image.type, image.shape) == ("image", "tensor(float)", ["batch", 3, "height", "width"])
    assert (logits.name, logits.type) == ("logits", "tensor(float)")


def test_half_precision_weights_halve_the_file(model, onnx_file):
    parameters = sum(each.numel() for each in model.parameters())
    assert onnx_file.stat().st_size < 2.2 * parameters + 200_000


@pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated:DeprecationWarning")
def test_the_torchscript_file_computes_what_the_model_does(model, tmp_path):
    export_torchscript(model, tmp_path / "model.torchscript")
    loaded = torch.jit.load(tmp_path / "model.torchscript")
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(6))
    with torch.inference_mode():
        assert torch.allclose(loaded(image), model.eval()(image), atol=1e-4)
