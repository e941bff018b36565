"""GitHub: App, webhooks, checks, reviews, pull requests. Exports `PROVIDER`."""

from providers.github.provider import PROVIDER

__all__ = ["PROVIDER"]
