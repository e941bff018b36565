from flask import Flask, jsonify

from models import Customer

app = Flask(__name__)


@app.route("/me")
def me():
    customer = Customer.current()
    answer = {
        "name": customer.name,
        "password": customer.password_hash,  # expect
        "card": customer.card_number,  # expect
    }
    return jsonify(answer)
