package io.millrace.bridge;

import java.io.IOException;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import org.apache.spark.TaskContext;
import org.apache.spark.TaskKilledException;
import org.apache.spark.util.TaskCompletionListener;

/**
 * One task on one Node worker. The task's own thread writes all input and then reads the output as it is asked for: the worker
 * answers only once it has the whole input, so neither end ever waits for the other to read, and Spark's iterators are touched by
 * no second thread (which breaks block locks, SPARK-27666).
 */
final class NodeTask {
  /** A partition of a parent, opened when its turn comes: opening it may compute it. */
  interface Input {
    scala.collection.Iterator<byte[]> open();
  }

  private final TaskContext task;
  private final TaskReports reports;

  NodeTask(TaskContext task, TaskReports reports) {
    this.task = task;
    this.reports = reports;
  }

  /** The chunks the worker gives. The worker goes back to the pool at the last one, and is killed if the task ends before. */
  Iterator<byte[]> run(byte[] stage, int partition, byte[] payload, List<Input> inputs) {
    NodeProcess worker;
    try {
      worker = NodeWorkerPool.get().take(task);
    } catch (IOException failure) {
      throw new NodeFailure(failure.getMessage(), null);
    }
    // An anonymous class: the method is overloaded, and a lambda would be ambiguous. After giveBack, discard does nothing.
    task.addTaskCompletionListener(new TaskCompletionListener() {
      @Override
      public void onTaskCompletion(TaskContext context) {
        NodeWorkerPool.get().discard(worker, task);
      }
    });
    try {
      worker.link.send(Frame.TASK, stage, partition, task.attemptNumber(), task.taskAttemptId(), inputs.size(), payload);
      for (int i = 0; i < inputs.size(); i++) {
        scala.collection.Iterator<byte[]> chunks = inputs.get(i).open();
        while (chunks.hasNext()) {
          byte[] chunk = chunks.next();
          // Received blocks are filled up with empty elements, one for each further record, so that Spark counts records.
          if (chunk.length > 0) worker.link.write(Frame.INPUT, chunk, i);
        }
      }
      worker.link.send(Frame.INPUT_END);
    } catch (IOException failure) {
      throw workerEnded(worker, failure);
    }
    return new Output(worker);
  }

  private RuntimeException workerEnded(NodeProcess worker, IOException cause) {
    if (task.isInterrupted()) return new TaskKilledException();
    Integer code = null;
    try {
      code = worker.waitFor(1000);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
    return new NodeFailure("The Node worker (pid " + worker.pid() + ") ended in the middle of a task"
        + (code == null ? "" : ", with exit code " + code) + (cause == null ? "" : ": " + cause.getMessage())
        + ". If it ran out of memory, raise --max-old-space-size in millrace.nodeOptions and spark.executor.memoryOverhead.", null);
  }

  private final class Output implements Iterator<byte[]> {
    private final NodeProcess worker;
    private byte[] next;
    private boolean ended;

    Output(NodeProcess worker) {
      this.worker = worker;
    }

    @Override
    public boolean hasNext() {
      if (next == null && !ended) advance();
      return next != null;
    }

    @Override
    public byte[] next() {
      if (!hasNext()) throw new NoSuchElementException();
      byte[] chunk = next;
      next = null;
      return chunk;
    }

    private void advance() {
      try {
        Frame frame = worker.link.read();
        if (frame == null) throw workerEnded(worker, null);
        switch (frame.type) {
          case Frame.OUTPUT -> next = frame.body;
          case Frame.TASK_DONE -> {
            byte[] report = Values.toBytes(Values.decode(frame.body).get(0));
            if (report != null) reports.add(report);
            ended = true;
            NodeWorkerPool.get().giveBack(worker);
          }
          case Frame.TASK_FAILED -> {
            List<Object> fields = Values.decode(frame.body);
            // The worker is whole: it was the user's function that threw.
            NodeWorkerPool.get().giveBack(worker);
            ended = true;
            throw new NodeFailure(Values.toText(fields.get(0)), Values.toText(fields.get(1)));
          }
          default -> throw new IOException("a worker does not send frames of type " + frame.type);
        }
      } catch (IOException failure) {
        throw workerEnded(worker, failure);
      }
    }
  }
}
