"""Reading and editing Python source: places, names, imports, strings."""
