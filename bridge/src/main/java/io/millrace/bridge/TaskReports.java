package io.millrace.bridge;

import java.util.ArrayList;
import java.util.List;
import org.apache.spark.util.AccumulatorV2;

/**
 * Brings what finished tasks have to say (accumulators, metrics) to the driver, as bytes that only Node understands. Spark hands over
 * each successful task's reports before its job ends, and drops those of failed attempts.
 */
final class TaskReports extends AccumulatorV2<byte[], List<byte[]>> {
  private static final long serialVersionUID = 1L;

  private final ArrayList<byte[]> reports = new ArrayList<>();

  @Override
  public synchronized boolean isZero() {
    return reports.isEmpty();
  }

  @Override
  public synchronized TaskReports copy() {
    TaskReports copy = new TaskReports();
    copy.reports.addAll(reports);
    return copy;
  }

  @Override
  public synchronized void reset() {
    reports.clear();
  }

  @Override
  public synchronized void add(byte[] report) {
    reports.add(report);
  }

  @Override
  public synchronized void merge(AccumulatorV2<byte[], List<byte[]>> other) {
    reports.addAll(other.value());
  }

  @Override
  public synchronized List<byte[]> value() {
    return List.copyOf(reports);
  }

  /** The reports that came in since the last call. */
  synchronized List<byte[]> drain() {
    List<byte[]> drained = List.copyOf(reports);
    reports.clear();
    return drained;
  }
}
