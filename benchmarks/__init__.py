"""A script per question about speed or memory. Ratios are measured in one run, interleaved; medians are kept."""
