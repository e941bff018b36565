from django.http import HttpResponse

VIEWS = {"start": HttpResponse}


def forward(request):
    return VIEWS[request.GET.get("to", "start")]()


def local(request):
    return HttpResponse(globals()["VIEWS"])
