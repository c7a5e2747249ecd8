package io.millrace.bridge;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import org.apache.spark.SparkEnv;
import org.apache.spark.storage.StorageLevel;
import org.apache.spark.streaming.receiver.Receiver;
import scala.Option;

/**
 * A receiver written in TypeScript, in a Node process beside the executor. Node sends blocks; each is stored as Spark stores blocks
 * (replicated or logged before `store` returns), and only then Node hears STORED and may acknowledge its source.
 *
 * <p>Only the receiver's number and what Spark must know to place it are serialized: the code comes with the bundle of the driver
 * that runs, so a recovered receiver runs the new code. `restart` calls onStop and onStart on this same object.
 */
final class NodeReceiver extends Receiver<byte[]> {
  private static final long serialVersionUID = 1L;
  private static final byte[] NOTHING = new byte[0];
  /** Before the message of a receiver that stopped itself, where Spark and its pages keep errors of receivers. */
  static final String STOPPED_ITSELF = "The receiver stopped itself: ";
  private static final long DRAIN_MS_MAX = 8_000;
  private static final long RATE_POLL_MS = 250;
  private static final long CHECKPOINT_POLL_MS = 50;

  private final int index;
  private final String host;
  /** The job's checkpoint directory, or null. */
  private final String checkpoint;
  /** The newest blocks that Spark has of this receiver: those its source may send again. Null on an executor that has just got it. */
  private transient ArrayDeque<byte[]> tail;
  private transient volatile Session session;

  NodeReceiver(int index, String host, StorageLevel level, String checkpoint) {
    super(level);
    this.index = index;
    this.host = host;
    this.checkpoint = checkpoint;
  }

  @Override
  public Option<String> preferredLocation() {
    return Option.apply(host);
  }

  @Override
  public void onStart() {
    Session opened = new Session();
    session = opened;
    opened.thread.start();
  }

  /** Tells Node to stop its source and send what it still holds; returns when that is stored, or after a few seconds. */
  @Override
  public void onStop() {
    Session closing = session;
    session = null;
    if (closing != null) closing.close();
  }

  /** One Node process, from its start to its end, and the thread that reads and stores its blocks in order. */
  private final class Session {
    final Thread thread = new Thread(this::run, "millrace-receiver-" + index);
    private volatile NodeProcess process;
    private volatile boolean closing;

    Session() {
      thread.setDaemon(true);
    }

    private void run() {
      try {
        if (checkpoint != null) awaitCheckpoint();
        if (closing) return;
        NodeProcess started = NodeProcess.start(WorkerSettings.shipped(), "receiver");
        process = started;
        if (closing) {
          started.kill();
          return;
        }
        started.link.send(Frame.RECEIVER_START, index, streamId(), tail());
        Thread rates = new Thread(this::followRate, "millrace-receiver-rate-" + index);
        rates.setDaemon(true);
        rates.start();
        for (Frame frame = started.link.read(); frame != null; frame = started.link.read()) handle(started, frame);
        if (!closing) restart(ended(exitCode(started)));
      } catch (IOException | RuntimeException failure) {
        NodeProcess failed = process;
        // A write to a process that is gone fails before its end is seen: what happened is the end, not the failed write.
        Integer code = failed == null ? null : exitCode(failed);
        if (failed != null) failed.kill();
        if (closing) return;
        if (code != null) restart(ended(code), failure);
        else restart("The Node process of receiver " + index + " failed: " + failure.getMessage(), failure);
      }
    }

    /**
     * Waits for the first checkpoint of the job. Spark reads its logs back only where there is one, so what was acknowledged before
     * would be lost with the driver. It is there once the first batch has begun.
     */
    private void awaitCheckpoint() throws IOException {
      Files files = new Files();
      while (!closing && !files.hasCheckpoint(checkpoint, Files.executorConfiguration())) {
        try {
          Thread.sleep(CHECKPOINT_POLL_MS);
        } catch (InterruptedException interrupted) {
          Thread.currentThread().interrupt();
          return;
        }
      }
    }

    private String ended(Integer code) {
      return "The Node process of receiver " + index + " ended" + (code == null ? "" : " with exit code " + code) + ".";
    }

    /** The exit code of a process that is ending, or null when it still runs after a second. */
    private Integer exitCode(NodeProcess ending) {
      try {
        return ending.waitFor(1000);
      } catch (InterruptedException interrupted) {
        Thread.currentThread().interrupt();
        return null;
      }
    }

    private void handle(NodeProcess from, Frame frame) throws IOException {
      switch (frame.type) {
        case Frame.BLOCK -> store(from, frame.body);
        case Frame.RECEIVER_STARTED -> { }
        case Frame.REPORT -> {
          List<Object> fields = Values.decode(frame.body);
          reportError(Values.toText(fields.get(0)), new NodeFailure(Values.toText(fields.get(1)), Values.toText(fields.get(2))));
        }
        case Frame.RECEIVER_STOP -> {
          from.close();
          // Spark would start a receiver again that stops itself, as often as it does. So it stays, with nothing to do.
          if (!closing) {
            closing = true;
            List<Object> fields = Values.decode(frame.body);
            String error = Values.toText(fields.get(1));
            reportError(STOPPED_ITSELF + Values.toText(fields.get(0)), new NodeFailure(error == null ? "" : error, null));
          }
        }
        default -> throw new IOException("A receiver does not send frames of type " + frame.type + ".");
      }
    }

    /** What the source may send again: as this executor remembers it, or else Spark's log. */
    private List<Object> tail() {
      if (tail == null) {
        tail = new ArrayDeque<>();
        if (checkpoint != null && SparkEnv.get().conf().getBoolean("spark.streaming.receiver.writeAheadLog.enable", false)) {
          try {
            tail.addAll(new ReceiverLog(checkpoint, streamId()).tail());
          } catch (IOException | RuntimeException unread) {
            reportError("What the source of receiver " + index + " sends again will count again: the log cannot be read", unread);
          }
        }
      }
      return new ArrayList<>(tail);
    }

    private void remember(byte[] block) {
      tail.addLast(block);
      while (tail.size() > 1 + ReceiverLog.tailOf(block)) tail.removeFirst();
    }

    /** Body: number of the block, count of its records, the bytes. */
    private void store(NodeProcess from, byte[] body) throws IOException {
      ByteBuffer header = ByteBuffer.wrap(body);
      int number = header.getInt();
      int records = header.getInt();
      byte[] block = Arrays.copyOfRange(body, 8, body.length);
      try {
        NodeReceiver.this.store(new Elements(block, records));
      } catch (RuntimeException failure) {
        from.link.send(Frame.NOT_STORED, number, String.valueOf(failure.getMessage()));
        return;
      }
      remember(block);
      from.link.send(Frame.STORED, number);
    }

    /** Passes Spark's rate limit on when it changes. */
    private void followRate() {
      long last = -1;
      try {
        while (process.isAlive() && !closing) {
          long limit = currentRateLimit();
          if (limit != last) process.link.send(Frame.RATE, limit == Long.MAX_VALUE ? null : limit);
          last = limit;
          Thread.sleep(RATE_POLL_MS);
        }
      } catch (IOException | InterruptedException over) {
        Thread.currentThread().interrupt();
      }
    }

    void close() {
      closing = true;
      NodeProcess stopping = process;
      if (stopping == null) return;
      try {
        stopping.link.send(Frame.RECEIVER_STOP);
        if (Thread.currentThread() != thread) thread.join(DRAIN_MS_MAX);
      } catch (IOException | InterruptedException gone) {
        // It is killed below in any case.
      }
      stopping.kill();
    }
  }

  /**
   * The limit the driver's rate estimator set, in records per second. `supervisor` is private[streaming], which is public in
   * bytecode; without it a receiver runs unlimited but for spark.streaming.receiver.maxRate, which Node applies itself.
   */
  private long currentRateLimit() {
    try {
      Object supervisor = Receiver.class.getMethod("supervisor").invoke(this);
      return (Long) supervisor.getClass().getMethod("getCurrentRateLimit").invoke(supervisor);
    } catch (ReflectiveOperationException | RuntimeException unknown) {
      return Long.MAX_VALUE;
    }
  }

  /** A block as Spark's elements: the bytes, then one empty element for each further record, so that Spark's counts are of records. */
  private static final class Elements implements Iterator<byte[]> {
    private byte[] bytes;
    private int left;

    Elements(byte[] bytes, int records) {
      this.bytes = bytes;
      this.left = Math.max(1, records);
    }

    @Override
    public boolean hasNext() {
      return left > 0;
    }

    @Override
    public byte[] next() {
      if (left-- <= 0) throw new NoSuchElementException();
      byte[] element = bytes;
      bytes = NOTHING;
      return element;
    }
  }
}
