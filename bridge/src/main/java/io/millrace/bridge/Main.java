package io.millrace.bridge;

import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Where the driver JVM begins. Two ways:
 *
 * <pre>
 *   serve   Node started this JVM and speaks frames over its stdin and stdout (client mode)
 *   drive   spark-submit started this JVM, which starts Node with the bundle inside this jar (`millrace submit`)
 * </pre>
 *
 * Either end that loses the other stops: no JVM without its Node driver, no Node driver without its JVM.
 */
public final class Main {
  /** The bundle's name inside the application jar that `millrace submit` builds. */
  private static final String BUNDLE_RESOURCE = "/millrace-job.mjs";
  private static final long STOP_MS_MAX = 10_000;

  private Main() {}

  public static void main(String[] arguments) throws IOException, InterruptedException {
    String mode = arguments.length == 0 ? "" : arguments[0];
    switch (mode) {
      case "serve" -> serve();
      case "drive" -> {
        try {
          drive();
        } catch (IOException | NodeFailure failure) {
          System.err.println("millrace: " + failure.getMessage());
          System.exit(1);
        }
      }
      default -> {
        System.err.println("Usage: Main serve | drive");
        System.exit(2);
      }
    }
  }

  private static void serve() throws IOException {
    FrameLink link = new FrameLink(new FileInputStream(FileDescriptor.in), new FileOutputStream(FileDescriptor.out));
    // The frames own standard output; whoever prints in this JVM prints to standard error.
    System.setOut(System.err);
    link.send(Frame.HELLO, Frame.PROTOCOL_VERSION, System.getProperty("java.version"));
    exit(serve(link), 0);
  }

  private static void drive() throws IOException, InterruptedException {
    Path directory = Files.createTempDirectory("millrace-driver");
    Path bundle = directory.resolve(WorkerSettings.BUNDLE_NAME);
    try (InputStream in = Main.class.getResourceAsStream(BUNDLE_RESOURCE)) {
      if (in == null) throw new IOException("This jar holds no job. Submit a job with `millrace submit`.");
      Files.copy(in, bundle, StandardCopyOption.REPLACE_EXISTING);
    }
    NodeProcess process = NodeProcess.startDriver(new WorkerSettings(
        WorkerSettings.located(System.getProperty("spark.millrace.node", "node"), "."),
        List.of("--enable-source-maps"), bundle.toString(), Map.of(), ""), directory);
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      process.kill();
      delete(bundle);
      delete(directory.resolve("frames"));
      delete(directory);
    }, "millrace-kill-driver"));
    process.link.send(Frame.HELLO, Frame.PROTOCOL_VERSION, System.getProperty("java.version"), sparkProperties());
    Gateway gateway = serve(process.link);
    process.closeInput();
    Integer code = process.waitFor(STOP_MS_MAX);
    exit(gateway, code == null ? 1 : code);
  }

  /** What spark-submit was told, `[key, value]` each: the Node driver reads its settings there. */
  private static List<Object> sparkProperties() {
    List<Object> properties = new ArrayList<>();
    for (String key : System.getProperties().stringPropertyNames()) {
      if (key.startsWith("spark.")) properties.add(List.of(key, System.getProperty(key)));
    }
    return properties;
  }

  private static void delete(Path path) {
    try {
      Files.deleteIfExists(path);
    } catch (IOException kept) {
      // It is in the directory for temporary files.
    }
  }

  private static Gateway serve(FrameLink link) {
    Gateway gateway = new Gateway(link);
    try {
      gateway.serve();
    } catch (IOException broken) {
      System.err.println("The link to the Node driver broke: " + broken.getMessage());
    }
    return gateway;
  }

  /** Stops Spark and ends this JVM, by force when stopping takes too long. */
  private static void exit(Gateway gateway, int code) {
    Thread deadline = new Thread(() -> {
      try {
        Thread.sleep(STOP_MS_MAX);
      } catch (InterruptedException interrupted) {
        return;
      }
      Runtime.getRuntime().halt(code == 0 ? 1 : code);
    }, "millrace-exit-deadline");
    deadline.setDaemon(true);
    deadline.start();
    gateway.operations().stop();
    System.exit(code);
  }
}
