from aiohttp import web
from aiohttp_session import get_session

from models import User


async def login(request):
    data = await request.post()
    session = await get_session(request)
    user = await User.named(data["name"])
    if user and user.check_password(data["password"]):
        session["user_id"] = user.id  # expect
    raise web.HTTPFound("/")
