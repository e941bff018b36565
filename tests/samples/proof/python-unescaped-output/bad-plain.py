"""Badges of people."""

from flask import Flask
from markupsafe import Markup

app = Flask(__name__)


def badge(name, kind):
    app.logger.info("badge")
    if not kind:
        return ""
    return f"<b class='badge'>{name}</b>"
