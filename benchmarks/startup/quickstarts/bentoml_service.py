"""As in BentoML's own quickstart: a decorated class, and `bentoml serve bentoml_service:Segmentation`."""

import bentoml
from PIL.Image import Image
from segment import mask_of, open_model


@bentoml.service
class Segmentation:
    def __init__(self) -> None:
        self.session = open_model()

    @bentoml.api
    def mask(self, image: Image) -> Image:
        return mask_of(self.session, image)
