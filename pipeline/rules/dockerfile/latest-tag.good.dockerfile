# Images of a version.
ARG BASE=debian:12
FROM node:22 AS build
FROM build
FROM ${BASE}
FROM debian@sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d
