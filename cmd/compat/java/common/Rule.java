import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;

/** The records that every client writes and reads: number i is the same for all of them, see rule.go. */
final class Rule {
    static final int COUNT = 300;
    static final int PARTITIONS = 3;
    static final long EPOCH = 1_700_000_000_000L;

    private Rule() {}

    static byte[] bytes(String s) {
        return s.getBytes(StandardCharsets.UTF_8);
    }

    static byte[] key(int i) {
        return i % 7 == 0 ? null : i % 11 == 0 ? new byte[0] : bytes("k" + i);
    }

    static byte[] value(int i) {
        if (i % 13 == 0 && i % 7 != 0) { // not every client sends a record with neither
            return null;
        }
        if (i % 17 == 0) {
            return new byte[0];
        }
        byte[] pad = new byte[i * 37 % 500];
        Arrays.fill(pad, (byte) 'x');
        return bytes("v" + i + "-" + new String(pad, StandardCharsets.UTF_8));
    }

    static List<Header> headers(int i) {
        List<Header> all = new ArrayList<>();
        for (int j = 0; j < i % 3; j++) {
            all.add(new RecordHeader("h", bytes("w" + i + "-" + j)));
        }
        if (i % 5 == 0) {
            all.add(new RecordHeader("null", (byte[]) null));
        }
        return all;
    }

    static ProducerRecord<byte[], byte[]> record(String topic, int i) {
        return new ProducerRecord<>(topic, i % PARTITIONS, EPOCH + i * 1000L, key(i), value(i), headers(i));
    }

    /** difference says what is wrong with a record that should be number i, or null. */
    static String difference(int i, ConsumerRecord<byte[], byte[]> r) {
        String at = "record " + i + " (partition " + r.partition() + ", offset " + r.offset() + ")";
        if (r.partition() != i % PARTITIONS || r.offset() != i / PARTITIONS) {
            return at + " is in another place";
        }
        if (!Arrays.equals(r.key(), key(i))) {
            return at + ": key";
        }
        if (!Arrays.equals(r.value(), value(i))) {
            return at + ": value";
        }
        if (r.timestamp() != EPOCH + i * 1000L) {
            return at + ": timestamp " + r.timestamp();
        }
        List<Header> want = headers(i);
        Header[] got = r.headers().toArray();
        if (want.size() != got.length) {
            return at + ": " + got.length + " headers";
        }
        for (int j = 0; j < got.length; j++) {
            if (!got[j].key().equals(want.get(j).key()) || !Arrays.equals(got[j].value(), want.get(j).value())) {
                return at + ": header " + j;
            }
        }
        return null;
    }
}
