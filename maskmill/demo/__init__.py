"""The whole path once, for somebody who has just installed Maskmill: start, submit, look at results, stop."""
