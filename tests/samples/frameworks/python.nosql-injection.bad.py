from flask import Flask, jsonify, request
from pymongo import MongoClient

app = Flask(__name__)
users = MongoClient().shop.users


def found(query):
    return list(users.find(query))


@app.route("/login", methods=["POST"])
def login():
    data = request.get_json()
    user = users.find_one({"name": data["name"], "password": data["password"]})  # expect
    return jsonify(ok=user is not None)


@app.route("/find", methods=["POST"])
def find():
    return jsonify(found(request.json))  # expect
