"""Half an hour of ordinary work: what grows?"""
