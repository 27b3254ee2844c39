import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.wire.message.MongoMessage;
import io.netty.channel.Channel;
import io.netty.util.AttributeKey;
import java.net.InetSocketAddress;
import java.util.List;

/**
 * Runs mongo-java-server, which updates a document in one step, on this machine
 * and in memory only. It introduces itself as the only member of a replica set of
 * MongoDB 6, so that the driver sends it all that it sends a real one: sessions,
 * the numbers of retryable writes, read and write concerns.
 *
 * It prints the URI of the server as one line on standard output and ends when
 * its standard input does.
 */
public class Launcher {
    public static void main(String[] args) throws Exception {
        Introduced backend = new Introduced();
        backend.version(new MongoVersion() {
            @Override
            public List<Integer> getVersionArray() {
                return List.of(6, 0, 0);
            }

            @Override
            public int getWireVersion() {
                return 17;
            }
        });
        MongoServer server = new MongoServer(backend);
        InetSocketAddress at = server.bind();
        backend.address = "127.0.0.1:" + at.getPort();
        System.out.println("mongodb://" + backend.address + "/?replicaSet=java");
        System.out.flush();
        while (System.in.read() >= 0) {
            // nobody writes to it
        }
        server.shutdownNow();
        System.exit(0);
    }

    /**
     * A backend that says of itself that it is a replica set. Drivers go to the
     * address that a member says it has, round whatever a test has put before it:
     * an application named "via ADDRESS" is told that address instead.
     */
    private static class Introduced extends MemoryBackend {
        private static final AttributeKey<String> VIA = AttributeKey.valueOf("via");
        volatile String address;

        @Override
        public Document handleMessage(MongoMessage message) {
            String command = message.getDocument().keySet().iterator().next();
            remember(message.getChannel(), message.getDocument());
            if (command.equals("hello")) { // which it does not know
                return handleCommand(message.getChannel(), "admin", "isMaster", new Document("isMaster", 1));
            }
            return introduce(message.getChannel(), command, super.handleMessage(message));
        }

        @Override
        public Document handleCommand(Channel channel, String database, String command, Document query) {
            remember(channel, query);
            return introduce(channel, command, super.handleCommand(channel, database, command, query));
        }

        private void remember(Channel channel, Document asked) {
            if (asked.get("client") instanceof Document client && client.get("application") instanceof Document application
                && application.get("name") instanceof String name && name.startsWith("via ")) {
                channel.attr(VIA).set(name.substring("via ".length()));
            }
        }

        private Document introduce(Channel channel, String command, Document answer) {
            if (command.equalsIgnoreCase("isMaster")) {
                String via = channel.attr(VIA).get();
                String here = via == null ? address : via;
                answer.append("setName", "java").append("hosts", List.of(here)).append("me", here)
                    .append("setVersion", 1).append("secondary", false).append("helloOk", true)
                    .append("ismaster", true).append("isWritablePrimary", true)
                    .append("logicalSessionTimeoutMinutes", 30);
            }
            if (command.equalsIgnoreCase("buildInfo")) {
                answer.append("mongoJavaServer", "yes"); // for the tests, which know what it lacks
            }
            return answer;
        }
    }
}
