package io.millrace.benchmarks;

import java.io.IOException;
import java.util.List;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.streaming.Duration;
import org.apache.spark.streaming.Time;
import org.apache.spark.streaming.api.java.JavaDStream;
import org.apache.spark.streaming.api.java.JavaStreamingContext;
import org.apache.spark.streaming.dstream.ConstantInputDStream;
import scala.reflect.ClassTag;
import scala.reflect.ClassTag$;

/**
 * Batches that hold nothing, in Java alone: `none` runs no Spark job in a batch, `job` one of one task. Prints the application's id and
 * the address of Spark's REST interface, where the delays of batches are read; ends when its standard input does.
 */
public final class EmptyBatches {
  private EmptyBatches() {}

  public static void main(String[] arguments) throws IOException, InterruptedException {
    String master = arguments[0];
    long batchMs = Long.parseLong(arguments[1]);
    boolean withJob = arguments[2].equals("job");
    SparkConf conf = new SparkConf().setMaster(master).setAppName("empty batches");
    JavaStreamingContext streaming = new JavaStreamingContext(conf, new Duration(batchMs));
    ClassTag<String> tag = ClassTag$.MODULE$.apply(String.class);
    JavaRDD<String> nothing = streaming.sparkContext().parallelize(List.<String>of(), 1);
    JavaDStream<String> empty =
        JavaDStream.fromDStream(new ConstantInputDStream<>(streaming.ssc(), nothing.rdd(), tag), tag);
    empty.foreachRDD((JavaRDD<String> rdd, Time time) -> {
      if (withJob) rdd.map(line -> line).collect();
    });
    streaming.start();
    System.out.println(streaming.sparkContext().sc().applicationId() + " " + streaming.sparkContext().sc().uiWebUrl().get());
    while (System.in.read() != -1) continue;
    streaming.stop(true, false);
  }
}
