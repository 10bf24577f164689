"""The lifecycle of a study: creation, states, amendments, the jobs it waits for, periodic work, deletion."""
