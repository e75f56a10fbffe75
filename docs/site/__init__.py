"""The documentation as a website: `make docs` builds it with Sphinx from the pages of docs/ and from the code."""
