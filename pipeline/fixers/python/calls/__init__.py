"""Rewrites of single calls of a library: what the call is told, or another call in its place."""
