# Stands in for apache/kafka: the same jars from Maven Central on Debian's Java.
ARG JAVA
FROM ${JAVA}
COPY . /opt/kafka/libs
RUN mkdir -p /var/lib/kafka/data && chown 1000:1000 /var/lib/kafka/data
