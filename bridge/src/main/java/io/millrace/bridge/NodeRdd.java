package io.millrace.bridge;

import java.util.ArrayList;
import java.util.List;
import org.apache.spark.Dependency;
import org.apache.spark.Partition;
import org.apache.spark.SparkContext;
import org.apache.spark.TaskContext;
import org.apache.spark.rdd.RDD;
import scala.collection.Iterator;
import scala.collection.immutable.Seq;
import scala.jdk.javaapi.CollectionConverters;
import scala.reflect.ClassTag;
import scala.reflect.ClassTag$;

/**
 * Everything between two shuffles, in one RDD: each task reads some partitions of some parents, pipes them through a Node worker,
 * and gives what comes back. The operations, their order and the user's functions are in `stage`, which only Node understands.
 *
 * <p>The elements are chunks: bytes that hold many records.
 */
final class NodeRdd extends RDD<byte[]> {
  private static final long serialVersionUID = 1L;
  static final ClassTag<byte[]> BYTES = ClassTag$.MODULE$.apply(byte[].class);

  private final byte[] stage;
  private final TaskReports reports;
  // Spark keeps the partitions on the driver and sends each task its own.
  private final transient List<NodePartition> nodePartitions;

  private NodeRdd(
      SparkContext sc,
      Seq<Dependency<?>> dependencies,
      byte[] stage,
      List<NodePartition> partitions,
      TaskReports reports) {
    super(sc, dependencies, BYTES);
    this.stage = stage;
    this.nodePartitions = partitions;
    this.reports = reports;
  }

  /**
   * @param inputs for each partition, the position of the parent of each input
   * @param inputPartitions for each partition, the parent's partition of each input
   * @param payloads for each partition, its own bytes or null
   * @param reports takes what each finished task has to say to the driver: accumulators, metrics
   */
  static NodeRdd of(
      SparkContext sc,
      List<RDD<byte[]>> parents,
      List<int[]> inputs,
      List<int[]> inputPartitions,
      List<byte[]> payloads,
      byte[] stage,
      TaskReports reports) {
    RDD<?>[] rdds = parents.toArray(new RDD<?>[0]);
    List<Dependency<?>> dependencies = new ArrayList<>();
    for (int i = 0; i < rdds.length; i++) dependencies.add(new InputDependency(parents.get(i), i, inputs, inputPartitions));
    List<NodePartition> partitions = new ArrayList<>();
    for (int i = 0; i < inputs.size(); i++) {
      partitions.add(new NodePartition(i, rdds, inputs.get(i), inputPartitions.get(i), payloads.get(i)));
    }
    return new NodeRdd(sc, CollectionConverters.asScala(dependencies).toSeq(), stage, partitions, reports);
  }

  @Override
  public Partition[] getPartitions() {
    return nodePartitions.toArray(new Partition[0]);
  }

  @Override
  @SuppressWarnings("unchecked")
  public Iterator<byte[]> compute(Partition split, TaskContext task) {
    NodePartition partition = (NodePartition) split;
    List<NodeTask.Input> inputs = new ArrayList<>(partition.parents.length);
    for (int i = 0; i < partition.parents.length; i++) {
      RDD<byte[]> parent = (RDD<byte[]>) dependencies().apply(partition.parents[i]).rdd();
      Partition input = partition.input(i);
      inputs.add(() -> parent.iterator(input, task));
    }
    NodeTask nodeTask = new NodeTask(task, reports);
    return CollectionConverters.asScala(nodeTask.run(stage, partition.index(), partition.payload, inputs));
  }
}
