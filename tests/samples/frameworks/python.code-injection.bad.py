from flask import Flask, request

app = Flask(__name__)


@app.route("/sum")
def total():
    return str(eval(request.args["expression"]))  # expect


@app.route("/run", methods=["POST"])
def run():
    program = request.form["program"]
    exec(compile(program, "program", "exec"))  # expect
    return ""
