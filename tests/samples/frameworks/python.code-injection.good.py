import ast

from flask import Flask, request

app = Flask(__name__)


@app.route("/sum")
def total():
    return str(sum(ast.literal_eval(request.args["numbers"])))


@app.route("/twice")
def twice():
    return str(eval("2 * %d" % int(request.args["number"])))
