"""What images are to be made: image sets, sampling parameters, and the orders of queued jobs."""
