package io.millrace.bridge;

import java.io.IOException;
import java.io.ObjectOutputStream;
import org.apache.spark.Partition;
import org.apache.spark.rdd.RDD;

/** One partition of a {@link NodeRdd}: which partitions of its parents it reads, in order, and bytes of its own. */
final class NodePartition implements Partition {
  private static final long serialVersionUID = 1L;

  private final int index;
  /** For each input, the position of its RDD among the parents. */
  final int[] parents;
  private final int[] parentPartitions;
  /** What Node wants to know about this partition only, such as the records of a parallelized slice; or null. */
  final byte[] payload;
  private final transient RDD<?>[] rdds;
  private Partition[] inputs;

  NodePartition(int index, RDD<?>[] rdds, int[] parents, int[] parentPartitions, byte[] payload) {
    this.index = index;
    this.rdds = rdds;
    this.parents = parents;
    this.parentPartitions = parentPartitions;
    this.payload = payload;
  }

  Partition input(int i) {
    if (inputs == null) inputs = resolve();
    return inputs[i];
  }

  private Partition[] resolve() {
    Partition[] resolved = new Partition[parents.length];
    for (int i = 0; i < parents.length; i++) resolved[i] = rdds[parents[i]].partitions()[parentPartitions[i]];
    return resolved;
  }

  // A parent that was checkpointed since has other partition objects, so they are looked up when the task is sent.
  private void writeObject(ObjectOutputStream out) throws IOException {
    if (rdds != null) inputs = resolve();
    out.defaultWriteObject();
  }

  @Override
  public int index() {
    return index;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof NodePartition partition && partition.index == index;
  }

  @Override
  public int hashCode() {
    return index;
  }
}
