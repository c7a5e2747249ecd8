package io.millrace.benchmarks;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.spark.SparkConf;
import org.apache.spark.SparkContext;
import org.apache.spark.streaming.Duration;
import org.apache.spark.streaming.Time;
import org.apache.spark.streaming.api.java.JavaDStream;
import org.apache.spark.streaming.api.java.JavaStreamingContext;
import org.apache.spark.streaming.receiver.Receiver;
import scala.Tuple2;

/**
 * The pipeline of `spark-mqtt.mjs` in Java: counts the words of lines, and tells for each thousand of line numbers how many came and
 * when they had been published; with `count` it does nothing with them. A line is `number time word word …`. Prints the application's id
 * and the address of Spark's pages, then one line of JSON a batch; ends when its standard input does.
 */
public final class MqttLines {
  private MqttLines() {}

  public static void main(String[] arguments) throws IOException, InterruptedException {
    String kind = arguments[0];
    String brokerUrl = arguments[1];
    String topic = arguments[2];
    long batchMs = Long.parseLong(arguments[3]);
    JavaStreamingContext streaming = new JavaStreamingContext(new SparkConf().setAppName("mqtt lines"), new Duration(batchMs));
    Receiver<String> receiver = kind.equals("post")
        ? new PostMqttStringReceiver(brokerUrl, topic)
        : new CarefulMqttReceiver(brokerUrl, topic, "careful-" + ProcessHandle.current().pid(), 200);
    JavaDStream<String> lines = streaming.receiverStream(receiver);
    if (arguments[4].equals("count")) lines.foreachRDD(rdd -> {});
    else process(lines);
    streaming.start();
    SparkContext spark = streaming.sparkContext().sc();
    System.out.println(spark.applicationId() + " " + (spark.uiWebUrl().isDefined() ? spark.uiWebUrl().get() : "-"));
    while (System.in.read() != -1) continue;
    System.exit(0);
  }

  private static void process(JavaDStream<String> lines) {
    AtomicLong words = new AtomicLong();
    lines
        .flatMap(line -> Arrays.asList(line.split(" ")).subList(2, 10).iterator())
        .mapToPair(word -> new Tuple2<>(word, 1L))
        .reduceByKey(Long::sum)
        .foreachRDD(rdd -> words.set(rdd.collect().size()));
    lines
        .mapToPair(line -> {
          String[] fields = line.split(" ", 3);
          return new Tuple2<>(Long.parseLong(fields[0]) / 1000, new long[] {1, Long.parseLong(fields[1])});
        })
        .reduceByKey((a, b) -> new long[] {a[0] + b[0], a[1] + b[1]})
        .foreachRDD((rdd, time) -> print(rdd.collect(), time, words.get()));
  }

  private static void print(List<Tuple2<Long, long[]>> thousands, Time time, long words) {
    StringBuilder text = new StringBuilder("{\"time\":" + time.milliseconds() + ",\"words\":" + words + ",\"thousands\":[");
    for (Tuple2<Long, long[]> each : thousands) {
      if (text.charAt(text.length() - 1) != '[') text.append(',');
      text.append('[').append(each._1).append(',').append(each._2[0]).append(',').append(each._2[1] / each._2[0]).append(']');
    }
    System.out.println(text.append("]}"));
  }
}
