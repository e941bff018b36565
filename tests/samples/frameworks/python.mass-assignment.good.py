from flask import Flask, request

from models import Article, User, db
from schemas import ArticleSchema

app = Flask(__name__)


@app.route("/articles", methods=["POST"])
def add():
    db.session.add(Article(**ArticleSchema().load(request.get_json())))
    return "", 201


@app.route("/articles/<int:number>", methods=["PUT"])
def change(number):
    article = Article.query.get(number)
    for key, value in request.json.items():
        if key in ("title", "text"):
            setattr(article, key, value)
    return "", 204


@app.route("/register", methods=["POST"])
def register():
    data = request.get_json()
    db.session.add(User(name=data["name"], admin=False))
    return "", 201
