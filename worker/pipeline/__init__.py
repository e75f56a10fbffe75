"""From the bytes of a picture to its label map: decode, preprocess, batch, run, upsample, tile."""
