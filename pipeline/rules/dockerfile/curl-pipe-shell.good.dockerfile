# Downloads that no shell reads.
FROM debian:12
RUN curl -fsSL https://example.org/a.tgz | tar xz
RUN curl -fsSLo install.sh https://example.org/install.sh && echo "abc  install.sh" | sha256sum -c && sh install.sh
WORKDIR /app
CMD ["/app/run"]
