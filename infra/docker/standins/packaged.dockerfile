# Stands in for an image whose program Debian has: redis, prometheus, alertmanager; and a Java to run what is on Maven Central.
ARG DEBIAN
FROM ${DEBIAN}
ARG PACKAGES
ARG PREPARE=true
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $PACKAGES >/dev/null \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    && sh -c "$PREPARE"
