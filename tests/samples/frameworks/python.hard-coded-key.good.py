import os

import jwt
from flask import Flask

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]
app.config["SECRET_KEY"] = ""
app.config["SECRET_KEY"] = os.environ.get("SECRET_KEY") or "only here"


def token(name):
    return jwt.encode({"name": name}, app.secret_key, algorithm="HS256")
