# Stands in for apicurio/apicurio-registry-mem: the same application from Maven Central on Debian's Java.
ARG JAVA
FROM ${JAVA}
COPY . /deployments
CMD ["sh", "-c", "exec java $JAVA_OPTS_APPEND -Dquarkus.http.host=0.0.0.0 -jar /deployments/*-runner.jar"]
