"""A pool of threads without a queue, a store or a database, tuned by hand: each takes a picture from JPEG to files.

The yardstick for a worker: OpenVINO with static shapes, simplejpeg, OpenCV, isal, and as little Python as that takes.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import cv2
import numpy as np
import openvino
import simplejpeg
from numpy.typing import NDArray

from segmentation.formats.png_file import write_png
from segmentation.label_spaces import get_label_space
from segmentation.palette import palette
from storage.catalog import Bundle, open_catalog
from storage.settings import StorageSettings

THREADS, STREAMS = 4, 2
QUALITY, OPACITY = 90, 0.5
_HINTS = {"int8": "f32", "fp32": "f32", "bf16": "bf16"}


class HandTunedPool:
    """precision: as in the cards' files. streams: of the engine, each of one thread."""

    def __init__(self, bundle: Bundle, precision: str, streams: int = STREAMS) -> None:
        self._preprocessing = bundle.card.preprocessing
        self._colours = palette(get_label_space(bundle.card.label_space))
        self._graph = openvino.Core().read_model(bundle.file("onnx_int8" if precision == "int8" else "onnx"))
        self._options = {
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": streams,
            "ENABLE_CPU_PINNING": False,
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
        }
        self._lock = threading.Lock()
        self._compiled: dict[tuple[int, ...], Any] = {}
        self._mine = threading.local()  # its `requests`, by shape
        self._threads = ThreadPoolExecutor(THREADS)

    def all(self, pictures: Sequence[bytes]) -> None:
        list(self._threads.map(self.one, pictures)).clear()

    def one(self, data: bytes) -> tuple[bytes, bytes, Any]:
        """The mask, the overlay, and how often each class occurs."""
        rgb = simplejpeg.decode_jpeg(data, "RGB")
        ids = _largest(self._logits(rgb), rgb.shape[0], rgb.shape[1])
        coloured = cv2.applyColorMap(ids, self._colours[:, None])
        blended = cv2.addWeighted(rgb, 1 - OPACITY, coloured, OPACITY, 0)
        overlay = simplejpeg.encode_jpeg(np.asarray(blended), QUALITY, "RGB", "420")
        return write_png(ids, self._colours), overlay, cv2.calcHist([ids], [0], None, [256], [0, 256])

    def _logits(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        height, width = self._preprocessing.input_size(*rgb.shape[:2])
        small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
        means = tuple(255 * each for each in self._preprocessing.mean)
        tensor = np.asarray(cv2.dnn.blobFromImage(small, 1 / 255, (width, height), means), np.float32)
        tensor /= np.array(self._preprocessing.std, np.float32).reshape(1, 3, 1, 1)
        request = self._request(tensor.shape)
        request.infer({0: tensor}, share_inputs=True)
        return np.array(request.get_output_tensor(0).data[0], np.float32)

    def _request(self, shape: tuple[int, ...]) -> Any:
        """One for each thread and shape."""
        mine: dict[tuple[int, ...], Any] = self._mine.__dict__.setdefault("requests", {})
        if shape not in mine:
            with self._lock:
                if shape not in self._compiled:
                    graph = self._graph.clone()
                    graph.reshape(list(shape))
                    self._compiled[shape] = openvino.Core().compile_model(graph, "CPU", self._options)
                    self._compiled[shape].create_infer_request().infer({0: np.zeros(shape, np.float32)})
            mine[shape] = self._compiled[shape].create_infer_request()
        return mine[shape]


def opened(model: str, precision: str, *, streams: int = STREAMS) -> HandTunedPool:
    """Of a bundled model. Raises ModelNotFound."""
    catalog = open_catalog(StorageSettings(home=Path(gettempdir()) / "maskmill-peers"))
    return HandTunedPool(catalog.get(model), precision, streams)


def _largest(logits: NDArray[np.float32], height: int, width: int) -> NDArray[np.uint8]:
    """Class by class at full size, with a running maximum."""
    ids = np.zeros((height, width), np.uint8)
    best = np.asarray(cv2.resize(logits[0], (width, height)), np.float32)
    for channel, plane in enumerate(logits[1:], start=1):
        value = np.asarray(cv2.resize(plane, (width, height)), np.float32)
        ids[value > best] = channel
        np.maximum(best, value, out=best)
    return ids
