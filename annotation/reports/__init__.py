"""From the votes and scores of a study to what a paper prints."""
