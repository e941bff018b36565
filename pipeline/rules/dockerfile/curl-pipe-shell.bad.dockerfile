# Installers that are run unseen.
FROM debian:12
RUN curl -fsSL https://example.org/install.sh | bash # expect: dockerfile.curl-pipe-shell
RUN apt-get update && \
    wget -qO- https://example.org/install.sh | sudo sh # expect: dockerfile.curl-pipe-shell
CMD ["/app/run"]
