"""Users of the shop."""

import sqlite3

from flask import Flask, abort, request

app = Flask(__name__)


def connect():
    return sqlite3.connect("shop.db")


@app.route("/user")
def find():
    name = request.args["name"]
    if not name:
        abort(400)
    connection = connect()
    cursor = connection.cursor()
    cursor.execute("SELECT id FROM users WHERE name <> ?", (name,))
    return {"id": cursor.fetchone()}
