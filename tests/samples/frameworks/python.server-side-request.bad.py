import requests
from flask import Flask, request

app = Flask(__name__)


@app.route("/preview")
def preview():
    return requests.get(request.args["page"]).text  # expect


@app.route("/picture", methods=["POST"])
def picture():
    address = request.form.get("address")
    return requests.get(f"{address}/picture.png").content  # expect
