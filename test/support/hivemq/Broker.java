import com.hivemq.embedded.EmbeddedHiveMQ;
import java.nio.file.Files;
import java.nio.file.Path;

/** Runs HiveMQ CE on a port with its data in a directory: keeping sessions in files or in memory: prints "ready", stops in order when standard input ends. */
public class Broker {
    public static void main(String[] args) throws Exception {
        Path directory = Path.of(args[0]);
        Path conf = Files.createDirectories(directory.resolve("conf"));
        Files.writeString(conf.resolve("config.xml"), """
            <?xml version="1.0"?>
            <hivemq>
              <listeners><tcp-listener><port>%s</port><bind-address>127.0.0.1</bind-address></tcp-listener></listeners>
              <mqtt>
                <queued-messages><max-queue-size>1000000</max-queue-size></queued-messages>
                <receive-maximum><server-receive-maximum>1000</server-receive-maximum></receive-maximum>
              </mqtt>
              <anonymous-usage-statistics><enabled>false</enabled></anonymous-usage-statistics>
              <persistence><mode>%s</mode></persistence>
            </hivemq>
            """.formatted(args[1], args[2]).stripLeading());
        EmbeddedHiveMQ broker = EmbeddedHiveMQ.builder()
            .withConfigurationFolder(conf)
            .withDataFolder(Files.createDirectories(directory.resolve("data")))
            .withExtensionsFolder(Files.createDirectories(directory.resolve("extensions")))
            .build();
        broker.start().join();
        System.out.println("ready");
        while (System.in.read() >= 0) {}
        broker.stop().join();
        System.exit(0);
    }
}
