package io.millrace.bridge;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerBlockUpdated;
import org.apache.spark.scheduler.SparkListenerExecutorAdded;
import org.apache.spark.scheduler.SparkListenerExecutorRemoved;
import org.apache.spark.storage.BlockUpdatedInfo;
import org.apache.spark.storage.StreamBlockId;
import org.apache.spark.streaming.scheduler.BatchInfo;
import org.apache.spark.streaming.scheduler.ReceiverInfo;
import org.apache.spark.streaming.scheduler.StreamingListener;
import org.apache.spark.streaming.scheduler.StreamingListenerBatchCompleted;
import org.apache.spark.streaming.scheduler.StreamingListenerReceiverError;
import org.apache.spark.streaming.scheduler.StreamingListenerReceiverStarted;
import org.apache.spark.streaming.scheduler.StreamingListenerReceiverStopped;

/** What Spark's own listeners hear, sent on to the Node driver; and where Spark says the received blocks are. */
final class Events extends SparkListener implements StreamingListener {
  private final Gateway gateway;
  /** For each received block, the executors that hold it and in what form: Spark's own block info, block by block. */
  private final Map<String, Map<String, String>> receivedBlocks = new ConcurrentHashMap<>();

  Events(Gateway gateway) {
    this.gateway = gateway;
  }

  @Override
  public void onExecutorAdded(SparkListenerExecutorAdded added) {
    gateway.event("executorAdded", added.executorId(), added.executorInfo().executorHost());
  }

  @Override
  public void onExecutorRemoved(SparkListenerExecutorRemoved removed) {
    gateway.event("executorRemoved", removed.executorId(), removed.reason());
  }

  @Override
  public void onBlockUpdated(SparkListenerBlockUpdated updated) {
    BlockUpdatedInfo info = updated.blockUpdatedInfo();
    if (!(info.blockId() instanceof StreamBlockId)) return;
    String executor = info.blockManagerId().executorId();
    receivedBlocks.compute(info.blockId().name(), (name, holders) -> {
      Map<String, String> changed = holders == null ? new TreeMap<>() : new TreeMap<>(holders);
      if (info.storageLevel().isValid()) changed.put(executor, info.storageLevel().description());
      else changed.remove(executor);
      return changed.isEmpty() ? null : changed;
    });
  }

  /** Every received block Spark holds: `[name, [[executor, storage level], …]]`. */
  List<Object> receivedBlocks() {
    List<Object> blocks = new ArrayList<>();
    receivedBlocks.forEach((name, holders) -> {
      List<Object> copies = new ArrayList<>();
      holders.forEach((executor, level) -> copies.add(List.of(executor, level)));
      blocks.add(List.of(name, copies));
    });
    return blocks;
  }

  @Override
  public void onBatchCompleted(StreamingListenerBatchCompleted completed) {
    BatchInfo info = completed.batchInfo();
    gateway.event("batchCompleted", info.batchTime().milliseconds(), info.numRecords(), delay(info.schedulingDelay()),
        delay(info.processingDelay()));
  }

  @Override
  public void onReceiverStarted(StreamingListenerReceiverStarted started) {
    receiver("receiverStarted", started.receiverInfo(), started.receiverInfo().lastErrorMessage());
  }

  @Override
  public void onReceiverError(StreamingListenerReceiverError error) {
    ReceiverInfo info = error.receiverInfo();
    String message = info.lastErrorMessage();
    if (message.startsWith(NodeReceiver.STOPPED_ITSELF)) {
      receiver("receiverStopped", info, message.substring(NodeReceiver.STOPPED_ITSELF.length()));
    } else {
      receiver("receiverError", info, message);
    }
  }

  @Override
  public void onReceiverStopped(StreamingListenerReceiverStopped stopped) {
    receiver("receiverStopped", stopped.receiverInfo(), stopped.receiverInfo().lastErrorMessage());
  }

  /** What Spark keeps of an error is its text; that of one thrown in Node is its stack in TypeScript, without Java's name before it. */
  private void receiver(String event, ReceiverInfo info, String message) {
    String javaName = NodeFailure.class.getName() + ":";
    String error = info.lastError();
    boolean isNodes = error.startsWith(javaName);
    gateway.event(event, info.streamId(), info.location(), info.executorId(), message,
        (isNodes ? error.substring(javaName.length()) : error).strip());
  }

  private static Long delay(scala.Option<Object> delayMs) {
    return delayMs.isDefined() ? (Long) delayMs.get() : null;
  }
}
