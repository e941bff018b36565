from flask import Flask, jsonify, request
from pymongo import MongoClient

app = Flask(__name__)
users = MongoClient().shop.users


def found(query):
    return list(users.find(query))


@app.route("/find", methods=["POST"])
def find():
    return jsonify(found({"name": str(request.json["name"])}))


@app.route("/named")
def named():
    return jsonify(users.find_one({"name": request.args["name"]}))
