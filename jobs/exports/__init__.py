"""Results for annotation tools: what goes out in their forms, and what comes back in them. The forms themselves are in
`segmentation/exports/`."""
