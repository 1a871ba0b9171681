import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.io.FileReader;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads possible matches from Overt's alert topic. A person decides on each; nothing in one justifies acting by itself.
 *
 * <pre>AlertReader client.properties overt.alerts schemas/alert.avsc [http://registry:8080/apis/ccompat/v7]</pre>
 *
 * client.properties: bootstrap.servers and group.id, and with TLS what docs/alert-topic.md names. With a registry each
 * record is read by the schema that it was written with; without one by the file.
 */
public final class AlertReader {
    private static final int HEADER_BYTES = 5; // Confluent wire format: a zero byte, the schema's id

    private final Schema wanted;
    private final String registry;
    private final Map<Integer, Schema> written = new HashMap<>();

    AlertReader(Schema wanted, String registry) {
        this.wanted = wanted;
        this.registry = registry;
    }

    GenericRecord read(byte[] value) throws IOException, InterruptedException {
        ByteBuffer bytes = ByteBuffer.wrap(value);
        if (value.length < HEADER_BYTES || bytes.get() != 0) {
            throw new IOException("not in the Confluent wire format");
        }
        Schema writer = writer(bytes.getInt());
        var body = DecoderFactory.get().binaryDecoder(value, HEADER_BYTES, value.length - HEADER_BYTES, null);
        return new GenericDatumReader<GenericRecord>(writer, wanted).read(null, body);
    }

    private Schema writer(int id) throws IOException, InterruptedException {
        if (registry == null) {
            return wanted;
        }
        if (!written.containsKey(id)) {
            var request = HttpRequest.newBuilder(URI.create(registry + "/schemas/ids/" + id)).build();
            var answer = HttpClient.newHttpClient().send(request, BodyHandlers.ofString());
            if (answer.statusCode() != 200) {
                throw new IOException("the registry answers " + answer.statusCode() + " for schema " + id);
            }
            String text = new ObjectMapper().readTree(answer.body()).get("schema").asText();
            written.put(id, new Schema.Parser().parse(text));
        }
        return written.get(id);
    }

    public static void main(String[] arguments) throws Exception {
        Properties properties = new Properties();
        properties.setProperty("enable.auto.commit", "false");
        properties.setProperty("auto.offset.reset", "earliest");
        try (FileReader file = new FileReader(arguments[0])) {
            properties.load(file);
        }
        Schema schema = new Schema.Parser().parse(new File(arguments[2]));
        AlertReader reader = new AlertReader(schema, arguments.length > 3 ? arguments[3] : null);
        Set<String> known = new HashSet<>(); // in your system: the primary key of a table
        var bytes = new ByteArrayDeserializer();
        try (var consumer = new KafkaConsumer<byte[], byte[]>(properties, bytes, bytes)) {
            consumer.subscribe(List.of(arguments[1]));
            while (true) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                    GenericRecord alert = reader.read(record.value());
                    if (known.add(alert.get("alert_id").toString())) { // it may come twice: keep the first
                        System.out.printf("%s %s candidate %s, %s, similarity %s%n", alert.get("alert_id"),
                                alert.get("camera_id"), alert.get("subject_id"), alert.get("kind"),
                                alert.get("similarity"));
                    }
                }
                consumer.commitSync(); // only what was dealt with
            }
        }
    }
}
