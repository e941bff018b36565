from django.shortcuts import render


def panel(request):
    if request.user.is_staff and request.GET.get("view") == "admin":
        return render(request, "admin.html")
    if request.GET.get("username") == "admin":
        return render(request, "taken.html")
    return render(request, "panel.html")
