"""Reading and editing JavaScript and TypeScript source: places, names, imports, strings."""
