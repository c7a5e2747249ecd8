package io.millrace.bridge;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.spark.SparkFiles;

/**
 * How to start Node on an executor. The driver ships two files under constant names, so that nothing about code is frozen into a
 * Spark checkpoint: the bundle, and these settings.
 */
final class WorkerSettings {
  static final String BUNDLE_NAME = "millrace-worker.mjs";
  static final String SETTINGS_NAME = "millrace-worker.properties";

  private static volatile WorkerSettings shipped;
  private static volatile String shippedFrom;

  final String node;
  final List<String> nodeOptions;
  final String entry;
  final Map<String, String> environment;
  /** The bundle's content hash: workers of another hash are not reused. */
  final String hash;

  WorkerSettings(String node, List<String> nodeOptions, String entry, Map<String, String> environment, String hash) {
    this.node = node;
    this.nodeOptions = nodeOptions;
    this.entry = entry;
    this.environment = environment;
    this.hash = hash;
  }

  /** The settings the driver shipped, read once per application. */
  static WorkerSettings shipped() throws IOException {
    String path = SparkFiles.get(SETTINGS_NAME);
    WorkerSettings known = shipped;
    if (known != null && path.equals(shippedFrom)) return known;
    synchronized (WorkerSettings.class) {
      Properties properties = new Properties();
      try (InputStream in = Files.newInputStream(Path.of(path))) {
        properties.load(in);
      }
      String options = properties.getProperty("nodeOptions", "");
      Map<String, String> environment = new LinkedHashMap<>();
      properties.stringPropertyNames().stream()
          .filter(name -> name.startsWith("env."))
          .forEach(name -> environment.put(name.substring("env.".length()), properties.getProperty(name)));
      shipped = new WorkerSettings(
          located(properties.getProperty("node", "node"), SparkFiles.getRootDirectory()),
          options.isBlank() ? List.of() : List.of(options.trim().split("\\s+")),
          SparkFiles.get(BUNDLE_NAME),
          environment,
          properties.getProperty("hash", ""));
      shippedFrom = path;
      return shipped;
    }
  }

  /** A name on the PATH and a whole path stay; `node/bin/node` is in an archive that Spark unpacked into `directory`. */
  static String located(String node, String directory) {
    if (!node.contains("/") || node.startsWith("/")) return node;
    return Path.of(directory, node).toAbsolutePath().normalize().toString();
  }
}
