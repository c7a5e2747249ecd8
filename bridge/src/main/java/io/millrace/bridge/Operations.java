package io.millrace.bridge;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.SparkConf;
import org.apache.spark.SparkContext;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.api.java.function.VoidFunction;
import org.apache.spark.rdd.RDD;
import org.apache.spark.storage.StorageLevel;
import scala.Tuple2;

/**
 * The operations the Node driver may call: docs/protocol.md lists them. RDDs go by handles, numbers that Node chooses, so a whole
 * lineage is built and run in one call.
 */
final class Operations {
  /** The file in a checkpoint's directory that says where below it the partitions are. */
  private static final String POINTER = "millrace-checkpoint";
  /** The properties of a thread that Spark's UI takes a job's and an RDD's place in the program from. */
  private static final String SITE = "callSite.short";
  private static final String SITE_STACK = "callSite.long";

  private final Gateway gateway;
  private final Map<Integer, JavaRDD<byte[]>> handles = new ConcurrentHashMap<>();
  private final TaskReports reports = new TaskReports();
  private final Events events;
  private final Files files = new Files();
  private volatile JavaSparkContext context;
  private volatile StreamingHost streaming;

  Operations(Gateway gateway) {
    this.gateway = gateway;
    this.events = new Events(gateway);
  }

  JavaSparkContext context() {
    JavaSparkContext known = context;
    if (known == null) throw new IllegalStateException("There is no SparkContext yet: call `context` first.");
    return known;
  }

  StreamingHost streaming() {
    StreamingHost known = streaming;
    if (known == null) throw new IllegalStateException("There is no StreamingContext yet: call `streaming` first.");
    return known;
  }

  /** Runs one operation, `[name, …arguments]`. The value of the last one of a call is its result. */
  Object run(int call, List<Object> o) throws IOException {
    switch (Values.toText(o.get(0))) {
      case "context":
        return openContext(Values.list(o.get(1)));
      case "ship":
        for (Object path : Values.list(o.get(1))) context().addFile(Values.toText(path));
        return null;
      case "streaming":
        streaming = StreamingHost.open(
            context(), Values.toLong(o.get(1)), (Long) longOrNull(o.get(2)), Values.toText(o.get(3)), Values.list(o.get(4)), events);
        return List.of(streaming.isRecovered(), streaming.inputCount());
      case "start":
        streaming().start();
        return null;
      case "stopStreaming":
        streaming().stop((Boolean) o.get(1));
        return null;
      case "stop":
        stop();
        return null;
      case "input":
        handles.put(Values.toInt(o.get(1)), streaming().input(Values.toLong(o.get(2)), Values.toInt(o.get(3))));
        return null;
      case "forget":
        streaming().forgetBefore(Values.toLong(o.get(1)));
        return null;
      case "node":
        return createNode(o);
      case "shuffle":
        return shuffle(Values.toInt(o.get(1)), rdd(o.get(2)), Values.toInt(o.get(3)));
      case "persist":
        rdd(o.get(1)).persist(storageLevel(Values.list(o.get(2))));
        return null;
      case "unpersist":
        rdd(o.get(1)).unpersist(false);
        return null;
      case "drop":
        for (Object handle : Values.list(o.get(1))) handles.remove(Values.toInt(handle));
        return null;
      case "job":
        context().sc().setJobDescription(Values.toText(o.get(1)));
        context().sc().setLocalProperty(SITE, Values.toText(o.get(2)));
        context().sc().setLocalProperty(SITE_STACK, Values.toText(o.get(3)));
        return null;
      case "collect":
        return collect(call, rdd(o.get(1)), o.get(2) == null ? null : Values.toInts(o.get(2)));
      case "checkpoint":
        return checkpoint(Values.toInt(o.get(1)), rdd(o.get(2)), Values.toText(o.get(3)), (Boolean) o.get(4));
      case "restore":
        handles.put(Values.toInt(o.get(1)), restore(Values.toText(o.get(2))));
        return null;
      case "blocks":
        return events.receivedBlocks();
      case "workers":
        NodeWorkerPool.get().closeIdle();
        return null;
      case "write":
        files.write(Values.toText(o.get(1)), Values.toBytes(o.get(2)), hadoop());
        return null;
      case "read":
        return files.read(Values.toText(o.get(1)), hadoop());
      case "list":
        return files.list(Values.toText(o.get(1)), hadoop());
      case "delete":
        return files.delete(Values.toText(o.get(1)), hadoop());
      case "rename":
        files.rename(Values.toText(o.get(1)), Values.toText(o.get(2)), hadoop());
        return null;
      default:
        throw new IllegalArgumentException("The bridge has no operation " + o.get(0) + ".");
    }
  }

  private Object openContext(List<Object> settings) {
    SparkConf conf = new SparkConf();
    for (Object setting : settings) {
      List<Object> pair = Values.list(setting);
      conf.set(Values.toText(pair.get(0)), Values.toText(pair.get(1)));
    }
    JavaSparkContext opened = new JavaSparkContext(conf);
    context = opened;
    opened.sc().register(reports, "millrace task reports");
    opened.sc().addSparkListener(events);
    List<Object> facts = new ArrayList<>();
    facts.add(opened.version());
    facts.add(opened.sc().applicationId());
    facts.add(opened.defaultParallelism());
    facts.add(opened.sc().uiWebUrl().isDefined() ? opened.sc().uiWebUrl().get() : null);
    return facts;
  }

  private Object createNode(List<Object> o) {
    List<RDD<byte[]>> parents = new ArrayList<>();
    for (Object handle : Values.list(o.get(2))) parents.add(rdd(handle).rdd());
    List<int[]> inputs = new ArrayList<>();
    List<int[]> inputPartitions = new ArrayList<>();
    List<byte[]> payloads = new ArrayList<>();
    for (Object partition : Values.list(o.get(3))) {
      List<Object> fields = Values.list(partition);
      inputs.add(Values.toInts(fields.get(0)));
      inputPartitions.add(Values.toInts(fields.get(1)));
      payloads.add(Values.toBytes(fields.get(2)));
    }
    String name = Values.toText(o.get(5));
    handles.put(Values.toInt(o.get(1)), calledBy(name, () -> {
      NodeRdd node = NodeRdd.of(context().sc(), parents, inputs, inputPartitions, payloads, Values.toBytes(o.get(4)), reports);
      node.setName(name);
      return new JavaRDD<>(node, NodeRdd.BYTES);
    }));
    return null;
  }

  /** Makes RDDs that Spark's UI shows as made by `name`, and so the stages that end with them. */
  private JavaRDD<byte[]> calledBy(String name, Supplier<JavaRDD<byte[]>> make) {
    SparkContext spark = context().sc();
    String site = spark.getLocalProperty(SITE);
    spark.setLocalProperty(SITE, name);
    try {
      return make.get();
    } finally {
      spark.setLocalProperty(SITE, site);
    }
  }

  /** Each chunk begins with the number of the partition it goes to, which Node wrote there; it stays in the chunk. */
  private Object shuffle(int handle, JavaRDD<byte[]> parent, int partitions) {
    handles.put(handle, calledBy(parent.name(), () -> parent
        .mapToPair(chunk -> new Tuple2<>(partitionOf(chunk), chunk))
        .partitionBy(new ChunkPartitioner(partitions))
        .values()));
    return null;
  }

  static Integer partitionOf(byte[] chunk) {
    return (chunk[0] & 0xff) << 24 | (chunk[1] & 0xff) << 16 | (chunk[2] & 0xff) << 8 | chunk[3] & 0xff;
  }

  /** Sends the chunks of each partition as DATA frames; the result is what the tasks reported. */
  private Object collect(int call, JavaRDD<byte[]> rdd, int[] partitions) throws IOException {
    int[] wanted = partitions != null ? partitions : IntStream.range(0, rdd.getNumPartitions()).toArray();
    if (wanted.length > 0) {
      List<byte[]>[] collected = rdd.collectPartitions(wanted);
      for (int i = 0; i < wanted.length; i++) {
        for (byte[] chunk : collected[i]) gateway.data(call, wanted[i], chunk);
      }
    }
    return reports.drain();
  }

  /**
   * A copy of the RDD without its history. Copies that stay in the executors only are on disk too and in two executors where there
   * are two: what a lost one held could not be computed again.
   */
  private Object checkpoint(int handle, JavaRDD<byte[]> rdd, String directory, boolean keep) throws IOException {
    JavaRDD<byte[]> copy = new JavaRDD<>(rdd.mapPartitions(chunks -> chunks, true).rdd(), NodeRdd.BYTES);
    if (directory == null) {
      boolean alone = context().sc().statusTracker().getExecutorInfos().length <= 2;
      copy.persist(alone ? StorageLevel.MEMORY_AND_DISK() : StorageLevel.MEMORY_AND_DISK_2());
      copy.rdd().localCheckpoint();
    } else {
      if (keep) copy.persist(StorageLevel.MEMORY_AND_DISK());
      context().setCheckpointDir(directory);
      copy.checkpoint();
    }
    VoidFunction<java.util.Iterator<byte[]>> readAll = chunks -> {
      while (chunks.hasNext()) chunks.next();
    };
    copy.foreachPartition(readAll);
    // Spark writes below a directory of its own making; where, is noted last, and says that all of it is there.
    if (directory != null) files.write(directory + "/" + POINTER, copy.getCheckpointFile().get().getBytes(UTF_8), hadoop());
    handles.put(handle, copy);
    return reports.drain();
  }

  /** checkpointFile is protected in Scala and public in bytecode; PySpark relies on it too. */
  @SuppressWarnings("unchecked")
  private JavaRDD<byte[]> restore(String directory) throws IOException {
    byte[] path = files.read(directory + "/" + POINTER, hadoop());
    if (path == null) throw new IllegalArgumentException("There is no checkpoint in " + directory + ".");
    try {
      Method checkpointFile = JavaSparkContext.class.getMethod("checkpointFile", String.class);
      return (JavaRDD<byte[]>) checkpointFile.invoke(context(), new String(path, UTF_8));
    } catch (ReflectiveOperationException missing) {
      throw new UnsupportedOperationException("This Spark offers no way to read back the checkpoint in " + directory + ".", missing);
    }
  }

  private Configuration hadoop() {
    return context().hadoopConfiguration();
  }

  private JavaRDD<byte[]> rdd(Object handle) {
    JavaRDD<byte[]> rdd = handles.get(Values.toInt(handle));
    if (rdd == null) throw new IllegalArgumentException("There is no RDD with handle " + handle + ".");
    return rdd;
  }

  static StorageLevel storageLevel(List<Object> flags) {
    return StorageLevel.apply(
        (Boolean) flags.get(0), (Boolean) flags.get(1), (Boolean) flags.get(2), (Boolean) flags.get(3), Values.toInt(flags.get(4)));
  }

  private static Long longOrNull(Object value) {
    return value == null ? null : Values.toLong(value);
  }

  /** Stops whatever runs. Safe to call more than once, and from any thread but a batch's. */
  synchronized void stop() {
    if (streaming != null) streaming.stop(false);
    if (context != null) context.stop();
    NodeWorkerPool.get().closeIdle();
  }
}
