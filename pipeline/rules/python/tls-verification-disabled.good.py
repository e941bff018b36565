"""Connections whose certificates are checked, and what only looks alike."""

import ssl

import httpx
import jwt
import requests


def checked(url):
    requests.get(url)
    requests.get(url, verify=True)
    requests.get(url, verify="/etc/ssl/own.pem")
    httpx.Client(verify=ssl.create_default_context())
    session = requests.Session()
    session.verify = "/etc/ssl/own.pem"
    context = ssl.create_default_context(cafile="own.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return session, context


def this_machine():
    return requests.get("https://localhost:8443/healthz", verify=False)


def other_meanings(token, package):
    jwt.decode(token, verify=False)
    return package.install(verify=False)
