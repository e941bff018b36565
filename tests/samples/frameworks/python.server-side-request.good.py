from urllib.parse import urlparse

import requests
from flask import Flask, abort, request

app = Flask(__name__)


@app.route("/weather")
def weather():
    return requests.get("https://weather.test/" + request.args["city"]).text


@app.route("/preview")
def preview():
    address = request.args["page"]
    if urlparse(address).hostname not in ("shop.test", "blog.test"):
        abort(400)
    return requests.get(address).text
