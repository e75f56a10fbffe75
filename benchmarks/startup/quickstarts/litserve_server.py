"""As in LitServe's own quickstart: a class with four methods, and `python litserve_server.py`."""

import sys

import litserve
from fastapi import Response
from PIL import Image
from segment import as_png, mask_of, open_model


class Segmentation(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.session = open_model()

    def decode_request(self, request):  # without a type: LitServe would ask for a query of that name
        return Image.open(request["image"].file)

    def predict(self, picture: Image.Image) -> Image.Image:
        return mask_of(self.session, picture)

    def encode_response(self, mask: Image.Image) -> Response:
        return Response(as_png(mask), media_type="image/png")


if __name__ == "__main__":
    litserve.LitServer(Segmentation(), accelerator="cpu").run(port=int(sys.argv[1]), generate_client_file=False)
