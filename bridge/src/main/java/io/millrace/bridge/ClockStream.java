package io.millrace.bridge;

import org.apache.spark.rdd.RDD;
import org.apache.spark.streaming.StreamingContext;
import org.apache.spark.streaming.Time;
import org.apache.spark.streaming.dstream.InputDStream;
import scala.Option;

/** An input without records. It gives Spark's batch clock something to tick for, also when a job has no receivers. */
final class ClockStream extends InputDStream<byte[]> {
  private static final long serialVersionUID = 1L;

  ClockStream(StreamingContext streaming) {
    super(streaming, NodeRdd.BYTES);
  }

  @Override
  public void start() {}

  @Override
  public void stop() {}

  @Override
  public Option<RDD<byte[]>> compute(Time time) {
    return Option.apply(context().sparkContext().emptyRDD(NodeRdd.BYTES));
  }
}
