"""Badges of people."""

from flask import Flask
from markupsafe import Markup

app = Flask(__name__)


class Text(str):
    def __html__(self):
        return self


def badge(name, kind):
    app.logger.info("badge")
    if not kind:
        return ""
    return Text(f"<b class='badge'>{name}</b>")
