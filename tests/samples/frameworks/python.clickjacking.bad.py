ROOT_URLCONF = "shop.urls"
MIDDLEWARE = (
    "django.contrib.sessions.middleware.SessionMiddleware",  # expect
    "django.middleware.csrf.CsrfViewMiddleware",
)
