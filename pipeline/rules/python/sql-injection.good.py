"""Statements that are ours alone."""

import sqlite3

from flask import Flask, request
from psycopg import sql
from sqlalchemy import select, text

from .models import User, db

app = Flask(__name__)
connection = sqlite3.connect("app.db")
COLUMNS = {"name": "name", "age": "age_in_years"}
SORTABLE = ("name", "age")
SELECT = "SELECT id, name FROM users"


def bound(cursor, name):
    cursor.execute("SELECT * FROM users WHERE name = ?", (name,))
    cursor.execute("SELECT * FROM users WHERE name = %s", [request.form["name"]])
    cursor.executemany("INSERT INTO users (name) VALUES (?)", request.json["names"])
    cursor.execute(SELECT + " WHERE name = ?", (request.args["name"],))
    db.session.execute(text("SELECT * FROM users WHERE name LIKE :name"), {"name": "%" + name + "%"})
    return User.objects.raw("SELECT * FROM users WHERE name = %s", [name])


def handed_on(cursor, query, parameters):
    return cursor.execute(query, parameters)


def placeholders(cursor, ids):
    marks = ",".join("?" for _ in ids)
    cursor.execute(f"SELECT * FROM users WHERE id IN ({marks})", ids)
    cursor.execute("SELECT * FROM users WHERE id IN (%s)" % ",".join(["?"] * len(ids)), ids)


def numbers(cursor, page: int, user: int | None = None):
    cursor.execute(f"SELECT * FROM users LIMIT 10 OFFSET {int(request.args['page']) * 10}")
    cursor.execute(f"SELECT * FROM users LIMIT 10 OFFSET {page * 10}")
    cursor.execute(f"SELECT * FROM users WHERE id = {user}")


@app.route("/users/<int:user_id>")
def by_number(user_id):
    return connection.execute(f"SELECT * FROM users WHERE id = {user_id}").fetchall()


def allowed(cursor):
    order = request.args.get("order", "name")
    if order not in SORTABLE:
        order = "name"
    cursor.execute(f"SELECT * FROM users ORDER BY {order}")


def looked_up(cursor):
    column = COLUMNS[request.args["order"]]
    other = COLUMNS.get(request.args["order"], "name")
    direction = "DESC" if request.args.get("reverse") else "ASC"
    cursor.execute(f"SELECT * FROM users ORDER BY {column} {direction}")
    cursor.execute(f"SELECT * FROM users ORDER BY {other} {direction}")


def identifiers(cursor, table, column):
    cursor.execute(f"SELECT COUNT(*) FROM {table}")
    cursor.execute(sql.SQL("SELECT {} FROM users").format(sql.Identifier(column)))


def built(name):
    return db.session.execute(select(User).where(User.name.like("%" + name + "%")))


def other_executors(executor, name):
    executor.execute(f"task {name}")
    return executor.query(f"host {name}")
