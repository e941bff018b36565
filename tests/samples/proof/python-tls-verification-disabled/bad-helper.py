"""Rates of the central bank."""

import requests


def get(url, timeout):
    return requests.get(url, timeout=timeout, verify=False)


def fetch(url, timeout):
    answer = get(url, timeout)
    answer.raise_for_status()
    return answer.json()
