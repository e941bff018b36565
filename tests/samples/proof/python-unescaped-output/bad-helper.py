"""Badges of people."""

from flask import Flask
from markupsafe import Markup

app = Flask(__name__)


def safe(text):
    return Markup(text)


def badge(name, kind):
    app.logger.info("badge")
    if not kind:
        return ""
    return safe(f"<b class='badge'>{name}</b>")
