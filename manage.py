#!/usr/bin/env python
"""Semblance's command line: `python manage.py help` lists every command."""

import os
import sys

from config.command_line import run

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    run(sys.argv)
