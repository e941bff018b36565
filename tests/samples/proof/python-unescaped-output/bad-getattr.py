"""Badges of people."""

from flask import Flask
import markupsafe
from markupsafe import Markup

app = Flask(__name__)


def badge(name, kind):
    app.logger.info("badge")
    if not kind:
        return ""
    return getattr(markupsafe, "Mark" + "up")(f"<b class='badge'>{name}</b>")
