# Downloads that are checked.
FROM debian:12
# curl -k is for nobody
RUN curl -fsSL https://example.org/a.tgz -o pack-k.tgz
RUN wget -q https://example.org/b.tgz && tar -xkf b.tgz
RUN mkcurl -k && echo done
