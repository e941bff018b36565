from flask import Flask, request

from models import Article, User, db

app = Flask(__name__)


@app.route("/articles", methods=["POST"])
def add():
    db.session.add(Article(**request.get_json()))  # expect
    return "", 201


@app.route("/articles/<int:number>", methods=["PUT"])
def change(number):
    article = Article.query.get(number)
    for key, value in request.json.items():
        setattr(article, key, value)  # expect
    return "", 204


@app.route("/register", methods=["POST"])
def register():
    data = request.get_json()
    db.session.add(User(name=data["name"], admin=data.get("admin", False)))  # expect
    return "", 201
