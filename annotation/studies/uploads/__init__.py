"""Files that come from a browser or a script: received in pieces, then imported by a job."""
