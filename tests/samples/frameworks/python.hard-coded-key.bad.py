import jwt
from flask import Flask

app = Flask(__name__)
app.secret_key = "oranges and lemons"  # expect
app.config["JWT_SECRET_KEY"] = "say the bells"  # expect


def token(name):
    return jwt.encode({"name": name}, "of saint clements", algorithm="HS256")  # expect


class Config:
    SECRET_KEY = "i owe you"  # expect


class TestConfig(Config):
    SECRET_KEY = "five farthings"
