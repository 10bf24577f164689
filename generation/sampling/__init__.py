"""Make images with a pipeline: batches of seeds, their recording, trials of models, and images made again."""
