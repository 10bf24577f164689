"""The plan of the images to make: image sets, sampling parameters, and the orders of queued jobs."""
