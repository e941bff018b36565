"""Objects that visitors make."""

import base64
import pickle
import socketserver

import dill
import jsonpickle
import numpy as np
from flask import Flask, request
from pickle import loads

app = Flask(__name__)


@app.route("/state")
def state():
    saved = request.cookies.get("state", "")
    return pickle.loads(base64.b64decode(saved))  # expect: python.unsafe-deserialization


@app.post("/job")
def job():
    work = loads(request.get_data())  # expect: python.unsafe-deserialization
    return work.name


@app.post("/model")
def model():
    upload = request.files["model"]
    return dill.load(upload.stream)["name"]  # expect: python.unsafe-deserialization


@app.post("/matrix")
def matrix():
    return str(np.load(request.files["matrix"], allow_pickle=True))  # expect: python.unsafe-deserialization


@app.get("/view/<packed>")
def view(packed):
    return jsonpickle.decode(packed)["title"]  # expect: python.unsafe-deserialization


def django_cart(request):
    text = request.COOKIES["cart"]
    cart = pickle.loads(bytes.fromhex(text))  # expect: python.unsafe-deserialization
    return cart


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        task = pickle.load(self.rfile)  # expect: python.unsafe-deserialization
        task.run()


def serve(sock):
    conn, _ = sock.accept()
    message = conn.recv(65536)
    return pickle.loads(message)  # expect: python.unsafe-deserialization
