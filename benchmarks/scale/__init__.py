"""A laboratory of hundreds of studies: the cost of each page and command, and the loss of votes a second."""
