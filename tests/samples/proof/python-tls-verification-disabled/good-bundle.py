"""Rates of the central bank."""

import requests


def fetch(url, timeout):
    answer = requests.get(url, timeout=timeout, verify="/etc/ssl/certs/bank.pem")
    answer.raise_for_status()
    return answer.json()
