"""The report's later sections as every format prints them, one section a module. Pure."""
