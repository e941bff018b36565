DEBUG = True  # expect
ROOT_URLCONF = "shop.urls"
DEBUG_TOOLBAR_CONFIG = {
    "SHOW_TOOLBAR_CALLBACK": lambda request: True,  # expect
}
