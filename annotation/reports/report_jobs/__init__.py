"""When a report is made, where it is kept, and how it is served."""
