from django.http import HttpResponse
from django.views.decorators.csrf import csrf_exempt

ROOT_URLCONF = "shop.urls"
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",  # expect
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]


@csrf_exempt  # expect
def transfer(request):
    request.user.pay(request.POST["to"], request.POST["amount"])
    return HttpResponse("paid")
