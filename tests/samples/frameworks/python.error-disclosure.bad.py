import traceback

from fastapi import FastAPI, HTTPException
from flask import Flask, jsonify, render_template_string

import shop

app = Flask(__name__)
api = FastAPI()


@app.route("/orders")
def orders():
    try:
        return jsonify(shop.orders())
    except Exception as error:
        return jsonify({"error": str(error)}), 500  # expect


@app.route("/bills")
def bills():
    try:
        return jsonify(shop.bills())
    except Exception:
        trace = traceback.format_exc()
        return f"<pre>{trace}</pre>", 500  # expect


@api.get("/prices")
def prices():
    try:
        return shop.prices()
    except Exception as e:
        raise HTTPException(500, detail=f"failed: {e}")  # expect
