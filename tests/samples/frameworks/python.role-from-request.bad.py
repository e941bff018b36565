from django.shortcuts import render


def panel(request):
    if request.GET.get("role") == "admin":  # expect
        return render(request, "admin.html")
    if request.COOKIES["is_admin"] == "true":  # expect
        return render(request, "admin.html")
    return render(request, "panel.html")
