"""Rewriting workflows: YAML nodes with their places in the text, and scripts inside of them."""
