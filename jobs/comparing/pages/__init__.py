"""How a comparison of models looks, whoever made it: a job with several models, or `maskmill compare`.

`shell.py` is the page around the sections, `parts.py` tables and sentences, `tiles.py` pictures, `wording.py` numbers.
"""
