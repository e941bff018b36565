import importlib

from django.http import HttpResponse


def forward(request):
    target = request.GET.get("to")
    view = globals().get(target)  # expect
    return view(request)


def report(request):
    module = importlib.import_module("reports." + request.GET["kind"])  # expect
    return HttpResponse(module.text())
