from aiohttp.web import Application
from fastapi import FastAPI

app = Application()
api = FastAPI(title="shop", debug=False)
