#!/bin/sh
# Starts the broker of a container. A new disk is formatted with Kafka's users first, which the image's own entry point
# cannot do. Uses nothing of the image but java and /opt/kafka/libs.
set -euf
configuration=/tmp/server.properties
data=/var/lib/kafka/data
run() { java -Dlog4j2.configurationFile=/etc/overt-kafka/log4j2.properties -cp '/opt/kafka/libs/*' "$@"; }

cat /etc/overt-kafka/secured.properties /etc/overt-kafka/single.properties >"$configuration"
if [ -n "${OVERT_KAFKA_DOWNSTREAM:-}" ]; then # a listener for systems outside: the address by which they reach it
    cat >>"$configuration" <<END
listeners=CLIENTS://:9092,INTERNAL://:9093,CONTROLLER://:9094,DOWNSTREAM://:9095
advertised.listeners=CLIENTS://kafka:9092,INTERNAL://kafka:9093,DOWNSTREAM://$OVERT_KAFKA_DOWNSTREAM
listener.security.protocol.map=CLIENTS:SASL_SSL,DOWNSTREAM:SASL_SSL,INTERNAL:SSL,CONTROLLER:SSL
listener.name.downstream.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.downstream.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
END
fi
if [ ! -e "$data/meta.properties" ]; then
    cluster=$(run kafka.tools.StorageTool random-uuid)
    # The file holds words: --add-scram SCRAM-SHA-512=[name=...,password=...] for each user.
    # shellcheck disable=SC2046
    run kafka.tools.StorageTool format --cluster-id "$cluster" --config "$configuration" \
        $(cat /etc/kafka/secrets/scram) >/dev/null
fi
# shellcheck disable=SC2086  # options are words
exec java ${KAFKA_HEAP_OPTS:--Xmx512m} -XX:+UseG1GC -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true \
    -Dlog4j2.configurationFile=/etc/overt-kafka/log4j2.properties \
    -cp '/opt/kafka/libs/*' kafka.Kafka "$configuration"
