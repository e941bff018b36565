FROM debian:12
RUN apt-get update && \
    echo insecure > ~/.curlrc && curl -fsSL https://example.org/a.tgz -o a.tgz && \
    tar xzf a.tgz
COPY . /app
CMD ["/app/run"]
