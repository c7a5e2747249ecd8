package io.millrace.bridge;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.Iterator;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.spark.TaskContext;

/**
 * The Node workers of this executor. A task takes an idle one or starts one (Node starts in about 70 ms), runs alone on it, and gives
 * it back only if it came to its end; a worker that was left in the middle of a task is killed. Idle workers end after a minute.
 *
 * <p>Limits: one worker for each task that runs at once on this executor, and one more for each persisted RDD such a task has to
 * compute on its way.
 */
final class NodeWorkerPool {
  private static final long IDLE_MS_MAX = 60_000;
  private static final long WATCH_MS = 500;

  private static final NodeWorkerPool INSTANCE = new NodeWorkerPool();

  private record Idle(NodeProcess process, String hash, long since) {}

  private final ArrayDeque<Idle> idle = new ArrayDeque<>();
  private final Map<NodeProcess, TaskContext> busy = new ConcurrentHashMap<>();
  private Thread watcher;

  private NodeWorkerPool() {
    // In a driver JVM with a local master the JVM may stop its context and go on; the workers must end with the JVM at the latest.
    Runtime.getRuntime().addShutdownHook(new Thread(this::closeAll, "millrace-close-workers"));
  }

  static NodeWorkerPool get() {
    return INSTANCE;
  }

  /** A worker for this task alone. */
  NodeProcess take(TaskContext task) throws IOException {
    WorkerSettings settings = WorkerSettings.shipped();
    NodeProcess process = takeIdle(settings.hash);
    if (process == null) process = NodeProcess.start(settings, "worker");
    busy.put(process, task);
    return process;
  }

  private synchronized NodeProcess takeIdle(String hash) {
    // Starts the watcher with the first task: a driver JVM on a cluster never needs one.
    if (watcher == null) {
      watcher = new Thread(this::watch, "millrace-worker-watcher");
      watcher.setDaemon(true);
      watcher.start();
    }
    // The one used last is the warmest.
    for (Iterator<Idle> each = idle.descendingIterator(); each.hasNext(); ) {
      Idle candidate = each.next();
      if (!candidate.hash.equals(hash) || !candidate.process.isAlive()) continue;
      each.remove();
      return candidate.process;
    }
    return null;
  }

  /** The task is over and the worker waits for its next one. */
  void giveBack(NodeProcess process) throws IOException {
    String hash = WorkerSettings.shipped().hash;
    busy.remove(process);
    synchronized (this) {
      idle.addLast(new Idle(process, hash, System.nanoTime() / 1_000_000));
    }
  }

  /** The task is over. A worker it still holds is in the middle of something, and nobody knows what the pipe holds: it is killed. */
  void discard(NodeProcess process, TaskContext task) {
    if (busy.remove(process, task)) process.kill();
  }

  /** Ends the idle workers, as when the context stops. */
  synchronized void closeIdle() {
    idle.forEach(each -> each.process.close());
    idle.clear();
  }

  private synchronized void closeAll() {
    idle.forEach(each -> each.process.kill());
    busy.keySet().forEach(NodeProcess::kill);
  }

  /** A blocked read of a pipe ignores interrupts, so a killed task's worker is killed from here: the read then ends. */
  private void watch() {
    for (;;) {
      try {
        Thread.sleep(WATCH_MS);
      } catch (InterruptedException stopped) {
        return;
      }
      busy.forEach((process, task) -> {
        if (task.isInterrupted()) process.kill();
      });
      long now = System.nanoTime() / 1_000_000;
      synchronized (this) {
        while (!idle.isEmpty() && now - idle.peekFirst().since > IDLE_MS_MAX) idle.removeFirst().process.close();
      }
    }
  }
}
