FROM debian:12
RUN apt-get update && \
    curl -fsSL https://example.org/a.tgz -o a.tgz && \
    tar xzf a.tgz
CMD ["/app/run"]
