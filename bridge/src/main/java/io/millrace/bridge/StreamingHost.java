package io.millrace.bridge;

import java.io.IOException;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentSkipListMap;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.api.java.function.Function2;
import org.apache.spark.api.java.function.VoidFunction2;
import org.apache.spark.streaming.Duration;
import org.apache.spark.streaming.StreamingContext;
import org.apache.spark.streaming.StreamingContextState;
import org.apache.spark.streaming.Time;
import org.apache.spark.streaming.api.java.JavaDStream;
import org.apache.spark.streaming.api.java.JavaStreamingContext;

/**
 * Spark's StreamingContext with the one graph it ever has: a clock and the receivers, one `transform` that notes the batch's input
 * RDDs, one `foreachRDD` that hands the batch to the Node driver. What the job does with them is not in the JVM, so it is not in
 * Spark's checkpoint either, and may change between a stop and a start.
 */
final class StreamingHost {
  private final JavaStreamingContext streaming;
  private final boolean recovered;
  /** The input RDDs of each batch not yet forgotten, by stream; stream 0 is the clock. */
  private final ConcurrentSkipListMap<Long, List<JavaRDD<byte[]>>> inputs = new ConcurrentSkipListMap<>();
  private volatile List<JavaDStream<byte[]>> streams = List.of();
  private boolean stopped;

  private StreamingHost(JavaStreamingContext streaming, boolean recovered) {
    this.streaming = streaming;
    this.recovered = recovered;
  }

  /**
   * Opens the context: from the checkpoint in `directory` when there is one, new otherwise. The SparkContext is always new, so that
   * nothing of the old run's configuration is frozen. `receivers` holds `[preferred host or null, storage level]` each.
   */
  static StreamingHost open(
      JavaSparkContext context, long batchMs, Long rememberMs, String directory, List<Object> receivers, Events events)
      throws IOException {
    boolean recover = directory != null && new Files().hasCheckpoint(directory, context.hadoopConfiguration());
    JavaStreamingContext streaming = recover
        ? new JavaStreamingContext(new StreamingContext(directory, context.sc()))
        : new JavaStreamingContext(context, new Duration(batchMs));
    StreamingHost host = new StreamingHost(streaming, recover);
    if (!recover) host.build(rememberMs, directory, receivers);
    streaming.addStreamingListener(events);
    return host;
  }

  private void build(Long rememberMs, String directory, List<Object> receivers) throws IOException {
    if (directory != null) streaming.checkpoint(directory);
    String checkpoint =
        directory == null ? null : new Files().qualified(directory, streaming.sparkContext().hadoopConfiguration());
    if (rememberMs != null) streaming.remember(new Duration(rememberMs));
    List<JavaDStream<byte[]>> built = new ArrayList<>();
    built.add(JavaDStream.fromDStream(new ClockStream(streaming.ssc()), NodeRdd.BYTES));
    for (int i = 0; i < receivers.size(); i++) {
      List<Object> receiver = Values.list(receivers.get(i));
      built.add(streaming.receiverStream(
          new NodeReceiver(i, Values.toText(receiver.get(0)), Operations.storageLevel(Values.list(receiver.get(1))), checkpoint)));
    }
    streaming.transform(new ArrayList<>(built), new NoteInputs()).foreachRDD(new HandOver(built));
  }

  boolean isRecovered() {
    return recovered;
  }

  int inputCount() {
    return streams.size();
  }

  void start() {
    streaming.start();
  }

  /** Stops the streams; a graceful stop first takes in and works off what the receivers hold. The SparkContext stays. */
  synchronized void stop(boolean gracefully) {
    if (stopped) return;
    if (streaming.getState() != StreamingContextState.STOPPED) streaming.stop(false, gracefully);
    stopped = true;
  }

  /** The RDD of one input of one batch. A batch of before a restart is worked out again from Spark's log. */
  JavaRDD<byte[]> input(long time, int stream) {
    List<JavaRDD<byte[]>> noted = inputs.get(time);
    if (noted != null) return noted.get(stream);
    if (streams.isEmpty()) throw new IllegalStateException("No batch has begun yet, so batch " + time + " cannot be read again.");
    List<JavaRDD<byte[]>> sliced = streams.get(stream).slice(new Time(time), new Time(time));
    if (sliced.isEmpty()) throw new IllegalStateException("Spark no longer remembers batch " + time + ".");
    return sliced.get(0);
  }

  void forgetBefore(long time) {
    inputs.headMap(time, false).clear();
  }

  /** `[partitions, records or null]` of each input of a batch, the clock left out. */
  private List<Object> describe(long time, List<JavaRDD<byte[]>> rdds) {
    List<Object> described = new ArrayList<>();
    for (int stream = 1; stream < rdds.size(); stream++) {
      List<Object> input = new ArrayList<>();
      input.add(rdds.get(stream).getNumPartitions());
      input.add(recordsOf(time, streams.get(stream)));
      described.add(input);
    }
    return described;
  }

  /**
   * How many records Spark counted for an input of a batch, or null when it does not say. The bookkeeping is private[streaming],
   * which is public in bytecode: only a number on a page depends on it.
   */
  private Long recordsOf(long time, JavaDStream<byte[]> stream) {
    try {
      Object scheduler = StreamingContext.class.getMethod("scheduler").invoke(streaming.ssc());
      Object tracker = scheduler.getClass().getMethod("inputInfoTracker").invoke(scheduler);
      Method getInfo = tracker.getClass().getMethod("getInfo", Time.class);
      Object infos = getInfo.invoke(tracker, new Time(time));
      Object info = ((scala.collection.Map<?, ?>) infos).get(idOf(stream)).getOrElse(() -> null);
      return info == null ? 0L : (Long) info.getClass().getMethod("numRecords").invoke(info);
    } catch (ReflectiveOperationException | RuntimeException unknown) {
      return null;
    }
  }

  @SuppressWarnings({"unchecked", "rawtypes"})
  private static <K> K idOf(JavaDStream<byte[]> stream) {
    return (K) (Integer) ((org.apache.spark.streaming.dstream.InputDStream) stream.dstream()).id();
  }

  /** Notes the input RDDs. It runs in the loop that generates batches, so it does nothing else. */
  static final class NoteInputs implements Function2<List<JavaRDD<?>>, Time, JavaRDD<byte[]>> {
    private static final long serialVersionUID = 1L;

    @Override
    @SuppressWarnings("unchecked")
    public JavaRDD<byte[]> call(List<JavaRDD<?>> rdds, Time time) {
      List<JavaRDD<byte[]>> noted = new ArrayList<>();
      for (JavaRDD<?> rdd : rdds) noted.add((JavaRDD<byte[]>) rdd);
      Gateway.current().operations().streaming().inputs.put(time.milliseconds(), noted);
      return noted.get(0);
    }
  }

  /** Hands a batch to the Node driver, on the thread that Spark runs the batch's job on. */
  static final class HandOver implements VoidFunction2<JavaRDD<byte[]>, Time> {
    private static final long serialVersionUID = 1L;

    /** Spark writes the streams into its checkpoint with this function, so a recovered driver finds them here again. */
    private final ArrayList<JavaDStream<byte[]>> streams;

    HandOver(List<JavaDStream<byte[]>> streams) {
      this.streams = new ArrayList<>(streams);
    }

    @Override
    public void call(JavaRDD<byte[]> clock, Time time) throws IOException {
      Gateway gateway = Gateway.current();
      StreamingHost host = gateway.operations().streaming();
      host.streams = streams;
      gateway.runBatch(time.milliseconds(), host.describe(time.milliseconds(), host.inputs.get(time.milliseconds())));
    }
  }
}
