"""An upgrade under work: the code of an earlier commit, the migration beside it, then today's code."""
