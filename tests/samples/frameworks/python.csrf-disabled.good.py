import hmac

from django.http import HttpResponse
from django.views.decorators.csrf import csrf_exempt

ROOT_URLCONF = "shop.urls"
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]


@csrf_exempt
def paid(request):
    if not hmac.compare_digest(request.headers["X-Signature"], sign(request.body)):
        return HttpResponse(status=403)
    return HttpResponse(request.POST["id"])


def transfer(request):
    request.user.pay(request.POST["to"], request.POST["amount"])
    return HttpResponse("paid")
