FROM debian:12
RUN apt-get update && \
    curl -fsSL https://example.org/a.tgz -o a.tgz
COPY . /app
CMD ["/app/run"]
