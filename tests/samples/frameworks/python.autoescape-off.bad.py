import aiohttp_jinja2
from aiohttp.web import Application
from flask import Flask
from jinja2 import Environment, FileSystemLoader

flask_app = Flask(__name__)
flask_app.jinja_env.autoescape = False  # expect
app = Application()
aiohttp_jinja2.setup(app, loader=FileSystemLoader("templates"), autoescape=False)  # expect
pages = Environment(loader=FileSystemLoader("pages"))  # expect
