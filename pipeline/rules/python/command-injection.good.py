"""Commands that nobody else writes."""

import os
import shlex
import subprocess

from flask import request

ALLOWED = ("start", "stop")


def as_list(host):
    subprocess.run(["ping", "-c1", host])
    subprocess.run(["ping", request.args["host"]], check=True)
    subprocess.run("ls -l", shell=True)
    os.system("clear")


def quoted(host):
    os.system("ping " + shlex.quote(host))
    subprocess.run(f"ping {shlex.quote(request.args['host'])}", shell=True)


def number():
    port = int(request.args["port"])
    os.system(f"fuser -k {port}/tcp")


def chosen():
    action = request.args["action"]
    if action not in ALLOWED:
        raise ValueError(action)
    os.system(f"service app {action}")


def wrapper(command, cwd):
    return subprocess.run(command, shell=True, cwd=cwd, check=True)
