#!/usr/bin/env bash
# What the tests need besides Python packages: real servers and a sandbox. Installed when we are root on a Debian; otherwise the tests that
# need a missing one are skipped and say so.
set -u
# A GitHub that we did not write, pinned by hash, in the user's cache; without it its tests are skipped.
.venv/bin/python -m tests.worlds.emulate.install >/dev/null 2>&1 || echo "-- emulate cannot be installed here; the tests that need it are skipped"
missing=()
command -v bwrap >/dev/null || missing+=(bubblewrap)
command -v redis-server >/dev/null || missing+=(redis-server)
command -v jq >/dev/null || missing+=(jq)
command -v curl >/dev/null || missing+=(curl)
command -v node >/dev/null || missing+=(nodejs)
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || missing+=(chromium fonts-dejavu-core)
[ -n "$(ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null)" ] || missing+=(postgresql)
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "-- installing ${missing[*]} for the tests"
  export DEBIAN_FRONTEND=noninteractive
  # Their own services stay off: the tests start servers of their own.
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  apt-get update -qq >/dev/null 2>&1 || true
  for package in "${missing[@]}"; do
    apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 || echo "-- $package cannot be installed here"
  done
else
  echo "-- not here, and not ours to install: ${missing[*]}; the tests that need them are skipped"
fi
exit 0
