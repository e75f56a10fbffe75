"""How a page of results looks, whoever made it: a job with several models, `maskmill compare`, `report` or `demo`.

`shell.py` is the page around the sections, `parts.py` tables and sentences, `tiles.py` pictures, `wording.py` numbers.
"""
