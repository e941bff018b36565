FROM debian:12
RUN apt-get update && \
    tar xzf a.tgz
COPY . /app
CMD ["/app/run"]
