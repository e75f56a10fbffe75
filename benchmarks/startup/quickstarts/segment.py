"""A picture in, a mask out: what a server of models leaves to whoever uses it. Runs beside `model.onnx`, alone."""

import io

import numpy as np
import onnxruntime
from PIL import Image

MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
LONG_SIDE, MULTIPLE = 480, 32


def open_model() -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])


def mask_of(session: onnxruntime.InferenceSession, picture: Image.Image) -> Image.Image:
    scale = LONG_SIDE / max(picture.size)
    width, height = (max(MULTIPLE, round(side * scale / MULTIPLE) * MULTIPLE) for side in picture.size)
    pixels = np.asarray(picture.convert("RGB").resize((width, height)), np.float32) / 255
    image = ((pixels - MEAN) / STD).transpose(2, 0, 1)[None]
    (logits,) = session.run(None, {session.get_inputs()[0].name: image})
    ids = logits[0].argmax(axis=0).astype(np.uint8)
    return Image.fromarray(ids).resize(picture.size, Image.Resampling.NEAREST)


def as_png(mask: Image.Image) -> bytes:
    file = io.BytesIO()
    mask.save(file, "PNG")
    return file.getvalue()
