package io.millrace.bridge;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * A Node process that speaks frames: it reads them on stdin and writes them on file descriptor 3. What the user's code prints goes
 * to this process's standard error, hence to the executor's log. Node ends itself when its stdin closes, so no Node outlives its JVM.
 */
final class NodeProcess implements AutoCloseable {
  /** Fd 3 becomes the pipe that Java reads as the process's output; fd 1 joins fd 2. */
  private static final String REDIRECT = "exec \"$0\" \"$@\" 3>&1 1>&2";

  private final Process process;
  final FrameLink link;
  /** The version Node said in its greeting, such as 20.20.2. */
  final String nodeVersion;

  private NodeProcess(Process process, FrameLink link, String nodeVersion) {
    this.process = process;
    this.link = link;
    this.nodeVersion = nodeVersion;
  }

  /**
   * Starts Node with `role` as the last argument and reads its greeting. Throws IOException that says what to do when there is no
   * Node, when it ends before greeting, or when it speaks another version of the protocol.
   */
  static NodeProcess start(WorkerSettings settings, String role, String... arguments) throws IOException {
    List<String> command = new ArrayList<>(List.of("sh", "-c", REDIRECT, settings.node));
    command.addAll(settings.nodeOptions);
    command.add(settings.entry);
    command.add(role);
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT);
    Map<String, String> environment = builder.environment();
    environment.putAll(settings.environment);
    Process process = builder.start();
    try {
      FrameLink link = new FrameLink(process.getInputStream(), process.getOutputStream());
      Frame hello = link.read();
      if (hello == null || hello.type != Frame.HELLO) throw new IOException(noGreeting(settings, process));
      List<Object> fields = Values.decode(hello.body);
      int protocol = Values.toInt(fields.get(0));
      if (protocol != Frame.PROTOCOL_VERSION) {
        throw new IOException("The job bundle speaks protocol " + protocol + ", the bridge jar " + Frame.PROTOCOL_VERSION
            + ". Both come with the millrace package: install one version of it and submit again.");
      }
      return new NodeProcess(process, link, Values.toText(fields.get(1)));
    } catch (IOException | RuntimeException failure) {
      process.destroyForcibly();
      throw failure;
    }
  }

  private static String noGreeting(WorkerSettings settings, Process process) {
    Integer code = null;
    try {
      if (process.waitFor(2, TimeUnit.SECONDS)) code = process.exitValue();
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
    return "Node (" + settings.node + ") ended before it was ready" + (code == null ? "" : ", with exit code " + code)
        + ". Its own words are in this process's standard error. If Node is not on the PATH of the workers,"
        + " set millrace.node to its path, or ship it with spark.archives.";
  }

  boolean isAlive() {
    return process.isAlive();
  }

  long pid() {
    return process.pid();
  }

  /** Waits for the process to end by itself; its exit code, or null when it is still running after the limit. */
  Integer waitFor(long limitMs) throws InterruptedException {
    return process.waitFor(limitMs, TimeUnit.MILLISECONDS) ? process.exitValue() : null;
  }

  /** Kills the process: for one that is in the middle of something. */
  void kill() {
    process.destroyForcibly();
  }

  /** Closes its stdin, which tells it to end; kills it when it does not within two seconds. Does not wait. */
  @Override
  public void close() {
    Thread closer = new Thread(() -> {
      try {
        process.getOutputStream().close();
        if (!process.waitFor(2, TimeUnit.SECONDS)) process.destroyForcibly();
      } catch (IOException | InterruptedException ended) {
        process.destroyForcibly();
      }
    }, "millrace-node-closer");
    closer.setDaemon(true);
    closer.start();
  }
}
