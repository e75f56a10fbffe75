"""What annotation tools take and give back. To add one: write its file, list it here; round trips, options, the archive
and corrections then cover it."""

from segmentation.exports.cityscapes import Cityscapes
from segmentation.exports.coco import Coco
from segmentation.exports.export import Drawn, Export, Exported, File, Known, Labelled, Returned
from segmentation.exports.folder import MaskFolder
from segmentation.exports.geojson import GeoJson
from segmentation.exports.hugging_face import HuggingFace
from segmentation.exports.label_maps import LabelMapExport
from segmentation.exports.label_studio import LabelStudio
from segmentation.exports.yolo import Yolo

__all__ = ["EXPORTS", "FOLDER", "Drawn", "Export", "Exported", "File", "Known", "Labelled", "Returned"]

_LISTED: tuple[Export, ...] = (
    Coco("coco", "COCO, run lengths", polygons=False),
    Coco("coco-polygons", "COCO, polygons", polygons=True),
    LabelMapExport("cvat", "CVAT 1.1 masks", unlabelled=0, list_name="default"),
    LabelMapExport("voc", "Pascal VOC masks", unlabelled=255, list_name="train"),
    LabelStudio("label-studio", "Label Studio, brush", polygons=False),
    LabelStudio("label-studio-polygons", "Label Studio, polygons", polygons=True),
    Yolo(),
    Cityscapes(),
    GeoJson(),
    HuggingFace(),
)
EXPORTS: dict[str, Export] = {each.name: each for each in _LISTED}
FOLDER = MaskFolder()  # comes back alone; what goes out so is the artifact `mask`
