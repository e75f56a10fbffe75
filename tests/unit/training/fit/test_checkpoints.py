"""A checkpoint is the old one or the new one, and a damaged one is named, by whoever reads it."""

import errno
import json
import re
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from maskmill.cli.app import app
from tests.tiny_runs import tiny_order, tiny_training
from training.fit.launch import is_finished, run_order
from training.fit.loop import DamagedCheckpoint, read_checkpoint, read_numbers
from training.lineage import DamagedRun
from training.recipe.recipe import RecipeError
from training.runs import CHECKPOINT, Run
from training.settings import TrainingSettings

UNTRACKED = TrainingSettings(tracking_uri="none")
DAMAGES = {"empty": lambda data: b"", "cut off": lambda data: data[: len(data) // 2], "text": lambda data: b"a: b\n"}


@pytest.fixture(scope="module")
def roots(rendered):
    return {"scenes": rendered}


@pytest.fixture(scope="module")
def run(roots, tmp_path_factory):
    return tiny_training(tmp_path_factory.mktemp("runs"), roots, ["stages[0].epochs=1"])


@pytest.fixture(params=DAMAGES)
def damaged(request, run, tmp_path):
    """A copy of the run, as a power cut or a bad copy leaves it."""
    folder = tmp_path / "runs" / "tiny"
    shutil.copytree(run, folder)
    file = folder / CHECKPOINT
    file.write_bytes(DAMAGES[request.param](file.read_bytes()))
    return folder


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """What a full disk does, to files of this process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_damaged_checkpoint_is_named_with_what_to_do(damaged, roots):
    said = rf"{damaged / CHECKPOINT} is damaged, or no checkpoint: bring back a copy, or delete it"
    with pytest.raises(DamagedCheckpoint, match=said):
        run_order(tiny_order(damaged.parent, roots), settings=UNTRACKED)
    done = CliRunner().invoke(app, ["export", str(damaged), "--name", "tiny", "--json"])
    assert (done.exit_code, '"code": "damaged_checkpoint"' in done.stdout) == (1, True)


@pytest.mark.parametrize("key", ["start.from", "distillation.teacher"])
def test_a_recipe_that_names_a_damaged_checkpoint_is_refused_with_its_key(damaged, roots, key):
    order = tiny_order(damaged.parent, roots, ["name=another", f"{key}=tiny"])
    with pytest.raises(RecipeError, match=rf"{key}: .*checkpoint\.pt is damaged, or no checkpoint"):
        run_order(order, settings=UNTRACKED)


@pytest.mark.parametrize("name", ["data.json", "facts.json", "order.json", "recipe.toml"])
@pytest.mark.parametrize(
    "content", [b"", b"[1, 2", b"[[1]]", b"\xff\xfe"], ids=["empty", "cut off", "other", "no text"]
)
def test_a_damaged_file_of_a_run_is_named_by_whoever_reads_it(run, roots, tmp_path, name, content):
    folder = tmp_path / "runs" / "tiny"
    shutil.copytree(run, folder)
    (folder / "order.json").write_text("{}")
    (folder / name).write_bytes(content)
    told = f"{folder / name} is damaged, or no {name} of a run: bring back a copy"
    root = f"scenes={roots['scenes']}"
    if name != "order.json":  # which a run that goes on writes anew
        with pytest.raises(DamagedRun, match=re.escape(told)):
            run_order(tiny_order(folder.parent, roots, ["stages[0].epochs=2"]), settings=UNTRACKED)
        shutil.copy(run / "recipe.toml", folder)
        (folder / name).write_bytes(content)
    export = ["export", str(folder), "--name", "tiny", "--root", root, "--models", str(tmp_path / "models")]
    evaluate = ["evaluate", str(folder), "scenes", "--split", "val", "--root", root]
    promote = ["promote", str(folder), "--root", root, "--registry", f"sqlite:///{tmp_path}/mlflow.db"]
    for words in (export, promote, *([] if name == "order.json" else [evaluate])):
        done = CliRunner().invoke(app, [*words, "--json"])
        error = json.loads(done.stdout)["error"]
        assert (done.exit_code, error["code"]) == (1, "damaged_run"), words
        assert error["message"].startswith(told)


@pytest.mark.parametrize("key", ["start.from", "distillation.teacher"])
def test_a_recipe_that_names_a_damaged_run_is_refused_with_its_key(run, roots, tmp_path, key):
    shutil.copytree(run, tmp_path / "tiny")
    (tmp_path / "tiny" / "recipe.toml").write_text("")
    (tmp_path / "tiny" / "data.json").write_text("")
    with pytest.raises(RecipeError, match=rf"{key}: .*tiny/(recipe.toml|data.json) is damaged"):
        run_order(tiny_order(tmp_path, roots, ["name=another", f"{key}=tiny"]), settings=UNTRACKED)


def test_a_disk_that_is_full_leaves_the_last_checkpoint_and_room(run, roots, tmp_path):
    shutil.copytree(run, tmp_path / "tiny")
    before = (tmp_path / "tiny" / CHECKPOINT).read_bytes()
    with pytest.raises(OSError, match=r"checkpoint\.part") as caught, no_file_larger_than(len(before) // 2):
        tiny_training(tmp_path, roots, ["stages[0].epochs=2"])
    assert caught.value.errno == errno.EFBIG
    assert (tmp_path / "tiny" / CHECKPOINT).read_bytes() == before
    assert not (tmp_path / "tiny" / "checkpoint.part").exists()
    tiny_training(tmp_path, roots, ["stages[0].epochs=2"])
    assert read_checkpoint(tmp_path / "tiny" / CHECKPOINT)["epoch"] == 2


def test_of_a_checkpoint_the_numbers_are_read_without_its_tensors(run):
    numbers = read_numbers(run / CHECKPOINT)
    assert numbers.keys() == {"epoch", "step", "numbers", "plateau", "stopping", "best"}
    assert is_finished(run, Run.open(run).recipe)
