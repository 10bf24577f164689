"""Very small trained models of the classes that full-size studies use, and the code that trains them.

The running system never imports this package: it loads the folders in weights/ like any other checkpoint.
"""
