"""The crossed model of votes: fixed effects of the margin and the side, random effects of prompts and annotators."""
