import os

DEBUG = True
DEBUG = os.environ.get("DEBUG") == "1"
ROOT_URLCONF = "shop.urls"
DEBUG_TOOLBAR_CONFIG = {
    "SHOW_TOOLBAR_CALLBACK": lambda request: request.user.is_superuser,
}
