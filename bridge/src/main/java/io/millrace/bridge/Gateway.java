package io.millrace.bridge;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;

/**
 * The driver JVM's end of the link to the Node driver. Node calls operations; calls that belong to a batch run on the thread that
 * Spark runs the batch on, so that Spark's UI and its job properties see them where they belong.
 *
 * <p>States of a batch: announced (BATCH sent), open (serving calls), done (BATCH_DONE came, or the link closed).
 */
final class Gateway {
  /** What Spark's serialized functions find again in whatever JVM they wake up in: the one driver of this process. */
  private static volatile Gateway current;

  private record Call(int id, List<Object> operations, boolean last, String failureText, String failureJson) {}

  private final FrameLink link;
  private final Operations operations;
  private final Map<Long, BlockingQueue<Call>> batches = new ConcurrentHashMap<>();
  private final ExecutorService callers = Executors.newCachedThreadPool(task -> {
    Thread thread = new Thread(task, "millrace-call");
    thread.setDaemon(true);
    return thread;
  });
  private volatile boolean closed;

  Gateway(FrameLink link) {
    this.link = link;
    this.operations = new Operations(this);
    current = this;
  }

  static Gateway current() {
    Gateway gateway = current;
    if (gateway == null) throw new IllegalStateException("This JVM has no Node driver: start it by io.millrace.bridge.Main.");
    return gateway;
  }

  Operations operations() {
    return operations;
  }

  /** Reads frames until Node closes the link. Returns then; whoever called stops the context. */
  void serve() throws IOException {
    try {
      for (Frame frame = link.read(); frame != null; frame = link.read()) {
        List<Object> fields = Values.decode(frame.body);
        switch (frame.type) {
          case Frame.CALL -> accept(fields);
          case Frame.BATCH_DONE -> finish(fields);
          default -> throw new IOException("A driver does not send frames of type " + frame.type + ".");
        }
      }
    } finally {
      closed = true;
      batches.values().forEach(queue -> queue.add(end("The Node driver is gone.", null)));
    }
  }

  private void accept(List<Object> fields) {
    Call call = new Call(Values.toInt(fields.get(0)), Values.list(fields.get(2)), false, null, null);
    BlockingQueue<Call> batch = fields.get(1) == null ? null : batches.get(Values.toLong(fields.get(1)));
    if (batch != null) batch.add(call);
    else callers.execute(() -> answer(call));
  }

  private void finish(List<Object> fields) {
    BlockingQueue<Call> batch = batches.get(Values.toLong(fields.get(0)));
    if (batch != null) batch.add(end(Values.toText(fields.get(1)), Values.toText(fields.get(2))));
  }

  private static Call end(String failureText, String failureJson) {
    return new Call(0, null, true, failureText, failureJson);
  }

  /**
   * Tells Node that batch `time` begins and serves its calls on this thread until it says done. Throws NodeFailure when the batch
   * failed there, which makes the batch fail in Spark's books too.
   */
  void runBatch(long time, List<Object> inputs) throws IOException {
    BlockingQueue<Call> queue = new LinkedBlockingQueue<>();
    batches.put(time, queue);
    try {
      if (closed) throw new NodeFailure("The Node driver is gone.", null);
      link.send(Frame.BATCH, time, inputs);
      for (;;) {
        Call call = queue.take();
        if (!call.last) {
          answer(call);
        } else {
          if (call.failureText != null) throw new NodeFailure(call.failureText, call.failureJson);
          return;
        }
      }
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw new NodeFailure("Batch " + time + " was interrupted.", null);
    } finally {
      batches.remove(time);
    }
  }

  /** Sends an event to the driver's listeners; a link that is closing loses events, nothing else. */
  void event(Object... fields) {
    try {
      if (!closed) link.send(Frame.EVENT, fields);
    } catch (IOException gone) {
      closed = true;
    }
  }

  void data(int call, int partition, byte[] bytes) throws IOException {
    link.write(Frame.DATA, bytes, call, partition);
  }

  private void answer(Call call) {
    try {
      try {
        Object value = null;
        for (Object operation : call.operations) value = operations.run(call.id, Values.list(operation));
        link.send(Frame.RESULT, call.id, value);
      } catch (Throwable failure) {
        // Everything, an Error too: Node waits for an answer, and says what it was. A fatal one also ends the JVM below.
        StringWriter stack = new StringWriter();
        failure.printStackTrace(new PrintWriter(stack));
        link.send(Frame.FAILURE, call.id, failure.getClass().getName(), failure.getMessage(), NodeFailure.jsonOf(failure),
            stack.toString());
        if (failure instanceof VirtualMachineError fatal) throw fatal;
      }
    } catch (IOException gone) {
      closed = true;
    }
  }
}
