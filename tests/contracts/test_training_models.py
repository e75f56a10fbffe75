"""What every architecture of MODELS must do: any size, both directions, and the same numbers from its exported file."""

import copy

import onnxruntime
import pytest
import torch

from segmentation.model_card import ModelCard
from tests.factories import make_card
from tests.tiny_architectures import TINY_OPTIONS, tiny_architecture
from training.export.files import export_onnx, export_torchscript
from training.fit.loop import train_step
from training.fit.losses import SegmentationLoss
from training.fit.objective import Objective
from training.fit.optimisation import build_optimiser
from training.fit.strategies import encoder_names, set_training
from training.models import MODELS, output_stride
from training.models.parts.protocols import HasOwnLoss
from training.recipe.recipe import OptimiserChoice
from training.start.read_back import AnotherNetwork, read_back

pytestmark = pytest.mark.slow

CLASSES = 5
COMPUTED = {"mask2former"}  # whose export computes tensors from several weights


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small tensors gain nothing from more, and threads that wait for one another lose much on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", params=MODELS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def untouched(name):
    return tiny_architecture(name, CLASSES)


@pytest.fixture
def model(untouched):
    return copy.deepcopy(untouched)


def noise(batch, height, width, *, seed=5):
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(seed))


def batch_of_two():
    """Noise that is class 0 in one picture and 3 in the other, with some pixels that do not count."""
    truth = torch.tensor([0, 3])[:, None, None].repeat(1, 64, 64)
    truth[:, :8] = 255
    return noise(2, 64, 64), truth


def objective_of(model):
    return Objective(model, None if isinstance(model, HasOwnLoss) else SegmentationLoss(ignore_id=255))


def test_every_architecture_has_tiny_options():
    assert set(TINY_OPTIONS) == set(MODELS)


def test_logits_cover_any_size(model):
    stride = output_stride(model)
    model.eval()
    for batch, height, width in [(1, 32, 64), (3, 96, 32), (2, 64, 160)]:
        with torch.inference_mode():
            logits = model(noise(batch, height, width))
        assert logits.shape == (batch, CLASSES, height // stride, width // stride)
        assert logits.isfinite().all()


def test_measuring_the_stride_changes_nothing(model):
    set_training(model, freeze_encoder=True)
    modes = [module.training for module in model.modules()]
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    output_stride(model)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_every_weight_learns_and_steps_lower_the_loss_of_their_batch(model):
    model.train()
    objective, batch = objective_of(model), batch_of_two()
    optimiser = build_optimiser(model, OptimiserChoice(learning_rate=1e-3))
    losses = []
    for _ in range(4):
        torch.manual_seed(1)  # dropout and sampled points are the same each time
        losses.append(train_step(objective, optimiser, [batch]))
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []
    assert losses[-1] < losses[0]


def test_a_frozen_encoder_stays_as_it_was_while_the_rest_learns(model):
    optimiser = build_optimiser(model, OptimiserChoice(learning_rate=1e-2))
    set_training(model, freeze_encoder=True)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    train_step(objective_of(model), optimiser, [batch_of_two()])
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert encoder_names(model)
    assert changed
    assert changed.isdisjoint(encoder_names(model))


def test_saved_weights_give_identical_logits_in_a_new_model(model, name, tmp_path):
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    other = tiny_architecture(name, CLASSES, seed=1)
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    with torch.inference_mode():
        assert torch.equal(other.eval()(noise(2, 64, 96)), model.eval()(noise(2, 64, 96)))


@pytest.fixture(scope="module")
def exported(untouched, tmp_path_factory):
    """A model whose batch norms are no longer fresh, and its ONNX file."""
    model = copy.deepcopy(untouched).train()
    with torch.no_grad():
        model(noise(2, 64, 96, seed=6))
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export_onnx(model, path, half_weights=False)
    return model.eval(), path


def test_memory_laid_out_by_channels_last_changes_nothing(model):
    model.eval()
    image = noise(1, 64, 96)
    with torch.inference_mode():
        expected = model(image)
        got = model.to(memory_format=torch.channels_last)(image.to(memory_format=torch.channels_last))
    assert torch.allclose(got, expected, atol=1e-4 * float(expected.abs().max()))


def test_the_onnx_file_computes_what_the_model_does(exported):
    model, path = exported
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # ready sooner
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (image,), (logits,) = session.get_inputs(), session.get_outputs()
    assert (image.name, image.type, image.shape) == ("image", "tensor(float)", ["batch", 3, "height", "width"])
    assert (logits.name, logits.type) == ("logits", "tensor(float)")
    for size in [(3, 64, 128), (1, 32, 32)]:
        with torch.inference_mode():
            expected = model(noise(*size)).numpy()
        (got,) = session.run(["logits"], {"image": noise(*size).numpy()})
        assert got == pytest.approx(expected, abs=1e-4 * float(abs(expected).max()))


def test_the_weights_of_its_file_can_be_read_back(exported, name):
    """Or it is said that they cannot; what they compute is what the file computes."""
    model, path = exported
    other = tiny_architecture(name, CLASSES, seed=1).eval()
    if name in COMPUTED:
        with pytest.raises(AnotherNetwork, match="was computed from several"):
            read_back(path, other)
        return
    other.load_state_dict({**other.state_dict(), **read_back(path, other).state})
    with torch.inference_mode():
        expected, got = model(noise(2, 64, 96)), other(noise(2, 64, 96))
    assert torch.allclose(got, expected, atol=1e-4 * float(expected.abs().max()))


def test_a_card_of_the_model_reads_back_as_it_was(model, name):
    parameters = sum(each.numel() for each in model.parameters())
    card = make_card(name, architecture=name, output_stride=output_stride(model), parameters=parameters)
    assert ModelCard.from_json(card.to_json()) == card


def test_half_precision_weights_halve_the_file(tmp_path):
    model = tiny_architecture("deeplabv3plus", CLASSES)
    export_onnx(model, tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").stat().st_size < 2.2 * sum(each.numel() for each in model.parameters()) + 200_000


@pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated:DeprecationWarning")
def test_the_torchscript_file_computes_what_the_model_does(tmp_path):
    model = tiny_architecture("deeplabv3plus", CLASSES)
    export_torchscript(model, tmp_path / "model.torchscript")
    loaded = torch.jit.load(tmp_path / "model.torchscript")
    with torch.inference_mode():
        assert torch.allclose(loaded(noise(1, 64, 64)), model.eval()(noise(1, 64, 64)), atol=1e-4)
