"""The metric's scores: differences between the models, and the noise of the images that they come from."""
