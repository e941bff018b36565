FROM debian:12
RUN apt-get update && \
    curl --insecure -fsSL https://example.org/a.tgz -o a.tgz && \
    tar xzf a.tgz
COPY . /app
CMD ["/app/run"]
