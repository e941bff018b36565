from aiohttp_session.redis_storage import RedisStorage
from flask import Flask

app = Flask(__name__)
app.config["SESSION_COOKIE_HTTPONLY"] = True


def storage(redis):
    return RedisStorage(redis)
