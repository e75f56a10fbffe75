"""The forms of answers: problems, OpenAPI and its page, ranges, ZIP archives as they are sent."""
