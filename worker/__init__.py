"""Running models on slices of images: settings, runtime, tasks, the pipeline from bytes to label maps, engines."""
