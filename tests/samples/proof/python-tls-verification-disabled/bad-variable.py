"""Rates of the central bank."""

import requests


def fetch(url, timeout):
    check = False
    answer = requests.get(url, timeout=timeout, verify=check)
    answer.raise_for_status()
    return answer.json()
