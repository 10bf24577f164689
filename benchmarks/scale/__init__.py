"""A laboratory of hundreds of studies: what each page and command costs there, and what voting beside them loses."""
