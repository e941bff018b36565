import logging

from flask import Flask, jsonify

import shop

app = Flask(__name__)
log = logging.getLogger(__name__)


@app.route("/orders")
def orders():
    try:
        return jsonify(shop.orders())
    except shop.NoSuchOrder as error:
        return jsonify({"error": str(error)}), 404
    except Exception as error:
        log.exception("orders failed: %s", error)
        return jsonify({"error": "something went wrong"}), 500
