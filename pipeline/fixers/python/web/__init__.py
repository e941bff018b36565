"""Rewrites of what answers requests: cookies, pages, redirects, files."""
