import os

ROOT_URLCONF = "shop.urls"
SESSION_COOKIE_SECURE = "INSECURE" not in os.environ
