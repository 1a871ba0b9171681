# Stands in for python:3.11-slim (target run) and python:3.11 (target build, with a compiler).
ARG DEBIAN
FROM ${DEBIAN}
ARG PACKAGES=""
COPY ca-certificates.crt /tmp/ca-certificates.crt
RUN if [ -n "$PACKAGES" ]; then \
        apt-get update -qq && apt-get install -y -qq --no-install-recommends $PACKAGES >/dev/null \
        && mv /tmp/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt; \
    fi && rm -rf /tmp/ca-certificates.crt /var/lib/apt/lists/* /var/cache/apt/*
