"""Hostile data in SQL text."""

import sqlite3

from flask import Flask, request
from sqlalchemy import text

from .models import User, db

app = Flask(__name__)
connection = sqlite3.connect("app.db")


def forms(cursor):
    name = request.form["name"]
    cursor.execute(f"SELECT * FROM users WHERE name = '{name}'")  # expect: python.sql-injection
    cursor.execute("SELECT * FROM users WHERE name = '%s'" % name)  # expect: python.sql-injection
    cursor.execute("SELECT * FROM users WHERE name = '{}'".format(name))  # expect: python.sql-injection
    cursor.execute("SELECT * FROM users WHERE name = '" + name + "'")  # expect: python.sql-injection
    connection.executescript("DELETE FROM users WHERE name = '" + name + "'; VACUUM")  # expect: python.sql-injection


def over_lines(cursor):
    query = "SELECT * FROM users"
    query += " WHERE name = '"
    query += request.args.get("name", "")
    query += "'"
    cursor.execute(query)  # expect: python.sql-injection


def in_parts(cursor):
    conditions = []
    for key, value in request.args.items():
        conditions.append(f"{key} = '{value}'")
    cursor.execute("SELECT * FROM users WHERE " + " AND ".join(conditions))  # expect: python.sql-injection


def with_alchemy():
    name = request.json["name"]
    db.session.execute(text(f"SELECT * FROM users WHERE name = '{name}'"))  # expect: python.sql-injection
    return User.query.filter(db.text("name = '%s'" % name)).all()  # expect: python.sql-injection


def with_django(request):
    name = request.POST["name"]
    User.objects.extra(where=["name = '%s'" % name])  # expect: python.sql-injection
    return User.objects.raw("SELECT * FROM users WHERE name = '%s'" % name)  # expect: python.sql-injection


@app.get("/users/<name>")
def from_the_path(name):
    return connection.execute(f"SELECT * FROM users WHERE name = '{name}'").fetchall()  # expect: python.sql-injection


def whole_statement(cursor):
    cursor.execute(request.args["query"])  # expect: python.sql-injection


def parameter(cursor, name):
    cursor.execute(  # expect: python.sql-injection
        f"""
        SELECT *
        FROM users
        WHERE name = '{name}'
        """
    )


class Users:
    async def find(self, name: str):
        query = "SELECT * FROM users WHERE name = '%(name)s'" % {"name": name}
        return await self.pool.fetch(query)  # expect: python.sql-injection


def asked():
    who = input("Who? ")
    connection.execute("SELECT * FROM users WHERE name = '" + who + "'")  # expect: python.sql-injection


def own_wrapper():
    return query_db("SELECT * FROM users WHERE name = '" + request.args["name"] + "'")  # expect: python.sql-injection


@app.put("/find")
async def own_long_wrapper(name: str):
    return await run_sql_query(f"SELECT * FROM users WHERE name = '{name}'", commit=True)  # expect: python.sql-injection
