# Local files, and remote ones that are compared.
FROM debian:12
ADD a.tgz /opt/
ADD --checksum=sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d https://example.org/a.tgz /opt/
COPY b.bin /opt/b
CMD ["/app/run"]
