"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# A loaded machine is no reason for a property to fail: whole tests have a time limit instead (pytest-timeout).
settings.register_profile("fixwright", deadline=None)
settings.load_profile("fixwright")
