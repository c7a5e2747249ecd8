package io.millrace.bridge;

import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.spark.SparkEnv;

/**
 * A Node process that speaks frames: it reads them on stdin and writes them on file descriptor 3. What the user's code prints goes
 * to this process's standard error, hence to the executor's log. Node ends itself when its stdin closes, so no Node outlives its JVM.
 */
final class NodeProcess implements AutoCloseable {
  /** Fd 3 becomes the pipe that Java reads as the process's output; fd 1 joins fd 2. */
  private static final String REDIRECT = "exec \"$0\" \"$@\" 3>&1 1>&2";

  /** A driver keeps the JVM's own fd 1 and 2: what it prints is the job's output. Its frames go through a named pipe. */
  private static final String REDIRECT_DRIVER = "exec \"$0\" \"$@\" 3>\"$MILLRACE_PIPE\"";
  /** What a shell ends with when it cannot start a command. */
  private static final int NOT_FOUND = 127;
  private static final int NOT_EXECUTABLE = 126;
  private static final Pattern VERSION = Pattern.compile("v?(\\d{1,4})(?:\\.(\\d{1,4}))?.*", Pattern.DOTALL);
  private static final int[] OLDEST_NODE = {20, 19};
  private static final long GREETING_MS_MAX = 60_000;
  private static final long VERSION_MS_MAX = 5_000;

  private final Process process;
  final FrameLink link;
  /** The version Node said in its greeting, such as 20.20.2. */
  final String nodeVersion;

  private NodeProcess(Process process, FrameLink link, String nodeVersion) {
    this.process = process;
    this.link = link;
    this.nodeVersion = nodeVersion;
  }

  /** Starts Node as the driver of a job, with a named pipe in `directory`; throws as `start`. */
  static NodeProcess startDriver(WorkerSettings settings, Path directory) throws IOException, InterruptedException {
    Path pipe = directory.resolve("frames");
    if (new ProcessBuilder("mkfifo", "-m", "600", pipe.toString()).inheritIO().start().waitFor() != 0) {
      throw new IOException("Cannot make the named pipe " + pipe + ".");
    }
    ProcessBuilder builder = builder(settings, "driver", REDIRECT_DRIVER).redirectOutput(ProcessBuilder.Redirect.INHERIT);
    builder.environment().put("MILLRACE_PIPE", pipe.toString());
    Process process = builder.start();
    // Opening it waits for the other end, which the shell opens before it starts Node.
    return greeted(settings, process, new FileInputStream(pipe.toFile()));
  }

  /**
   * Starts Node with `role` as the last argument and reads its greeting. Throws IOException that says what to do when it ends or is
   * silent before greeting, or speaks another version of the protocol; NodeFailure with NODE_NOT_FOUND when there is no Node or it is
   * too old, and with what the job threw while it was loaded.
   */
  static NodeProcess start(WorkerSettings settings, String role) throws IOException {
    Process process = builder(settings, role, REDIRECT).start();
    return greeted(settings, process, process.getInputStream());
  }

  private static ProcessBuilder builder(WorkerSettings settings, String role, String redirect) {
    List<String> command = new ArrayList<>(List.of("sh", "-c", redirect, settings.node));
    command.addAll(settings.nodeOptions);
    command.add(settings.entry);
    command.add(role);
    ProcessBuilder builder = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT);
    builder.environment().putAll(settings.environment);
    return builder;
  }

  private static NodeProcess greeted(WorkerSettings settings, Process process, InputStream frames) throws IOException {
    AtomicBoolean isLate = new AtomicBoolean();
    CompletableFuture<Void> deadline = CompletableFuture.runAsync(() -> {
      isLate.set(true);
      // What it started may hold the pipe open.
      process.descendants().forEach(ProcessHandle::destroyForcibly);
      process.destroyForcibly();
    }, CompletableFuture.delayedExecutor(GREETING_MS_MAX, TimeUnit.MILLISECONDS));
    try {
      FrameLink link = new FrameLink(frames, process.getOutputStream());
      Frame hello = link.read();
      if (hello == null || hello.type != Frame.HELLO) throw noGreeting(settings, process);
      return new NodeProcess(process, link, checkedVersion(settings, Values.decode(hello.body)));
    } catch (IOException | RuntimeException failure) {
      process.destroyForcibly();
      if (!isLate.get()) throw failure;
      throw new IOException("Node (" + settings.node + ") on " + host() + " said nothing for " + GREETING_MS_MAX / 1000
          + " seconds after its start, and was killed.", failure);
    } finally {
      deadline.cancel(false);
    }
  }

  /** The version of Node in a greeting: `[protocol, version, failure or null, ErrorData as JSON or null]`. */
  private static String checkedVersion(WorkerSettings settings, List<Object> greeting) throws IOException {
    int protocol = Values.toInt(greeting.get(0));
    if (protocol != Frame.PROTOCOL_VERSION) {
      throw new IOException("The job bundle speaks protocol " + protocol + ", the bridge jar " + Frame.PROTOCOL_VERSION
          + ". Both come with the millrace package: install one version of it and submit again.");
    }
    String version = Values.toText(greeting.get(1));
    if (isTooOld(version)) throw tooOld(settings, version);
    if (greeting.size() > 2 && greeting.get(2) != null) {
      throw new NodeFailure(Values.toText(greeting.get(2)), Values.toText(greeting.get(3)));
    }
    return version;
  }

  private static boolean isTooOld(String version) {
    Matcher parts = VERSION.matcher(version);
    if (!parts.matches()) return false;
    int major = Integer.parseInt(parts.group(1));
    int minor = parts.group(2) == null ? 0 : Integer.parseInt(parts.group(2));
    return major < OLDEST_NODE[0] || (major == OLDEST_NODE[0] && minor < OLDEST_NODE[1]);
  }

  private static NodeFailure tooOld(WorkerSettings settings, String version) {
    return NodeFailure.coded("NODE_NOT_FOUND", "Node (" + settings.node + ") on " + host() + " is " + version
        + ". Millrace needs Node 20.19 or newer: install it there, set millrace.node to the path of another one, or ship one with"
        + " spark.archives.");
  }

  /** What `node --version` prints, or "" when it prints nothing in time: one that is much too old cannot even load the bundle. */
  private static String askedVersion(WorkerSettings settings) throws IOException, InterruptedException {
    Process asked = new ProcessBuilder(settings.node, "--version").redirectErrorStream(true).start();
    if (asked.waitFor(VERSION_MS_MAX, TimeUnit.MILLISECONDS)) {
      return new String(asked.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
    }
    asked.destroyForcibly();
    return "";
  }

  private static String host() {
    try {
      return SparkEnv.get() == null ? InetAddress.getLocalHost().getHostName() : SparkEnv.get().blockManager().blockManagerId().host();
    } catch (UnknownHostException | RuntimeException unknown) {
      return "this machine";
    }
  }

  private static IOException noGreeting(WorkerSettings settings, Process process) throws IOException {
    Integer code = null;
    String version = "";
    try {
      if (process.waitFor(2, TimeUnit.SECONDS)) code = process.exitValue();
      if (code != null && (code == NOT_FOUND || code == NOT_EXECUTABLE)) {
        throw NodeFailure.coded("NODE_NOT_FOUND", "There is no Node on " + host() + ": " + settings.node + " cannot be started. Install"
            + " Node 20.19 or newer there, set millrace.node to its path, or ship it with spark.archives.");
      }
      version = askedVersion(settings);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
    if (isTooOld(version)) throw tooOld(settings, version);
    return new IOException("Node (" + settings.node + ") on " + host() + " ended before it was ready"
        + (code == null ? "" : ", with exit code " + code) + ". Its own words are in the standard error of the process that started it.");
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

  /** Closes its stdin: the end of the link, as Node sees it. */
  void closeInput() throws IOException {
    process.getOutputStream().close();
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
