"""Files of pictures and masks: their kinds, headers, and the way to pixels."""
