from aiohttp.web import Application
from fastapi import FastAPI

app = Application(debug=True)  # expect
api = FastAPI(title="shop", debug=True)  # expect
