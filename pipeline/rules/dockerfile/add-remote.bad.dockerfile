# Remote files.
FROM debian:12
# expect: dockerfile.add-remote
ADD https://example.org/a.tgz /opt/
# expect: dockerfile.add-remote
ADD --chown=app:app http://example.org/b.bin /opt/b
