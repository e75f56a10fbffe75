"""The data sets that can be trained on: (root folder, split, own options) → PairDataset. One line per data set."""

from collections.abc import Callable

from training.datasets.camvid import camvid
from training.datasets.cityscapes import cityscapes
from training.datasets.coco import coco
from training.datasets.folder import folder
from training.datasets.job_results import job_results
from training.datasets.oxford_pets import oxford_pets
from training.datasets.pairs import PairDataset
from training.datasets.scenes import scenes
from training.datasets.unlabelled import unlabelled
from training.datasets.voc import voc

RENDERED = "scenes"  # needs no files
UNLABELLED = "unlabelled"

DATASETS: dict[str, Callable[..., PairDataset]] = {
    "camvid": camvid,
    "cityscapes": cityscapes,
    "coco": coco,
    "folder": folder,
    "job": job_results,
    "job_results": job_results,  # as older recipes call it
    "oxford_pets": oxford_pets,
    RENDERED: scenes,
    UNLABELLED: unlabelled,
    "voc": voc,
}
