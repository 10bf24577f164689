"""Plan the size of a study: how many prompts, annotators and images it needs."""
