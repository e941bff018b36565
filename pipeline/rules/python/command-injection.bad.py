"""Hostile data in command lines."""

import asyncio
import os
import subprocess
import sys
from subprocess import Popen, check_output

from flask import request


def straight():
    os.system("ping " + request.args["host"])  # expect: python.command-injection
    subprocess.run(f"nslookup {request.form.get('host')}", shell=True)  # expect: python.command-injection
    subprocess.run(request.json["command"], shell=True)  # expect: python.command-injection


def over_lines():
    command = "tar xf "
    command += request.values["name"]
    subprocess.call(command, shell=True)  # expect: python.command-injection


def as_list():
    subprocess.run(["sh", "-c", "ping " + request.args["host"]])  # expect: python.command-injection


def parameter(host):
    return os.popen("ping -c1 %s" % host).read()  # expect: python.command-injection


def parameter_by_name(host):
    return check_output("nslookup {}".format(host), shell=True)  # expect: python.command-injection


async def later(host):
    return await asyncio.create_subprocess_shell(f"ping {host}")  # expect: python.command-injection


class Handler:
    def do_POST(self):
        Popen("ls {}".format(self.rfile.read()), shell=True)  # expect: python.command-injection


if __name__ == "__main__":
    os.system("open " + sys.argv[1])  # expect: python.command-injection
