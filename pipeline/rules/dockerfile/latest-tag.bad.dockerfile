# Images at their newest version; a mark stands above its line, because nothing else may stand on it.
# expect: dockerfile.latest-tag
FROM node:latest AS build
# expect: dockerfile.latest-tag
FROM --platform=linux/amd64 registry.example.org:5000/base:latest
CMD ["/app/run"]
