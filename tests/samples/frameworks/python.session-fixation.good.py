from aiohttp import web
from aiohttp_session import new_session

from models import User


async def login(request):
    data = await request.post()
    user = await User.named(data["name"])
    if user and user.check_password(data["password"]):
        session = await new_session(request)
        session["user_id"] = user.id
    raise web.HTTPFound("/")
