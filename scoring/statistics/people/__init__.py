"""What the votes say about the people who cast them: how well they agree, how skilled and how fair they are."""
