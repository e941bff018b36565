FROM debian:12
RUN apt-get update && \
    wget --no-check-certificate https://example.org/a.tgz && \
    tar xzf a.tgz
COPY . /app
CMD ["/app/run"]
