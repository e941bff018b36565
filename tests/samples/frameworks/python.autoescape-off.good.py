import aiohttp_jinja2
from aiohttp.web import Application
from jinja2 import Environment, FileSystemLoader, select_autoescape

app = Application()
aiohttp_jinja2.setup(app, loader=FileSystemLoader("templates"))
pages = Environment(loader=FileSystemLoader("pages"), autoescape=select_autoescape())
