# Downloads that are not checked.
FROM debian:12
RUN curl -k https://example.org/a.tgz -o a.tgz # expect: dockerfile.tls-verification-disabled
RUN apt-get update && \
    wget --no-check-certificate https://example.org/b.tgz # expect: dockerfile.tls-verification-disabled
RUN curl -fsSLk https://example.org/c.tgz | tar xz # expect: dockerfile.tls-verification-disabled
RUN apt-get install -y --allow-unauthenticated curl # expect: dockerfile.tls-verification-disabled
RUN curl --insecure https://example.org/d.tgz -o d.tgz # expect: dockerfile.tls-verification-disabled
