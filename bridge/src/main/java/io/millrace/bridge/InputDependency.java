package io.millrace.bridge;

import java.util.List;
import java.util.stream.IntStream;
import org.apache.spark.NarrowDependency;
import org.apache.spark.rdd.RDD;
import scala.collection.immutable.Seq;
import scala.jdk.javaapi.CollectionConverters;

/** Tells Spark which partitions of one parent each partition of a {@link NodeRdd} reads: for locality and for lost blocks. */
final class InputDependency extends NarrowDependency<byte[]> {
  private static final long serialVersionUID = 1L;

  private final int parent;
  // Only the driver asks.
  private final transient List<int[]> parents;
  private final transient List<int[]> parentPartitions;

  InputDependency(RDD<byte[]> rdd, int parent, List<int[]> parents, List<int[]> parentPartitions) {
    super(rdd);
    this.parent = parent;
    this.parents = parents;
    this.parentPartitions = parentPartitions;
  }

  @Override
  public Seq<Object> getParents(int partition) {
    int[] from = parents.get(partition);
    int[] partitions = parentPartitions.get(partition);
    List<Object> read = IntStream.range(0, from.length)
        .filter(i -> from[i] == parent)
        .<Object>mapToObj(i -> partitions[i])
        .toList();
    return CollectionConverters.asScala(read).toSeq();
  }
}
