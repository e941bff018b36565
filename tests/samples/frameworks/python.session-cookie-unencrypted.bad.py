ROOT_URLCONF = "shop.urls"
SESSION_COOKIE_SECURE = False  # expect
