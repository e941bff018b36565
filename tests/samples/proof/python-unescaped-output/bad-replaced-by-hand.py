"""Badges of people."""

from flask import Flask
from markupsafe import Markup

app = Flask(__name__)


def badge(name, kind):
    app.logger.info("badge")
    if not kind:
        return ""
    name = name.replace("<script>", "")
    return Markup(f"<b class='badge'>{name}</b>")
