"""Badges of people."""

from flask import Flask
from markupsafe import Markup as Text

app = Flask(__name__)


def badge(name, kind):
    app.logger.info("badge")
    if not kind:
        return ""
    return Text(f"<b class='badge'>{name}</b>")
