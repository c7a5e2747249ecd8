package io.millrace.benchmarks;

import java.nio.charset.StandardCharsets;
import java.util.Iterator;
import java.util.concurrent.ForkJoinPool;

/** The post's receiver of lines: a task on a shared pool for each payload, which stores its lines one by one. */
final class PostMqttStringReceiver extends PostMqttReceiver<String> {
  private static final long serialVersionUID = 1L;

  PostMqttStringReceiver(String brokerUrl, String topic) {
    super(brokerUrl, topic);
  }

  @Override
  void processMqttMessages(byte[] payload) {
    ForkJoinPool.commonPool().execute(() -> {
      Iterator<String> lines = new String(payload, StandardCharsets.UTF_8).lines().iterator();
      while (!isStopped() && lines.hasNext()) store(lines.next());
    });
  }
}
