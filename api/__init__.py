"""The way in over HTTP: decode a request, call one use case, encode its answer."""
