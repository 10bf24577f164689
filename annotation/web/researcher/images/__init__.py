"""The images of a study: contact sheets, reported images, uploads."""
