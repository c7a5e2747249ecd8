package io.millrace.bridge;

/** The kinds of frame, one number each; docs/protocol.md says who sends which and when. The TypeScript twin is protocol.ts. */
final class Frame {
  /** Raised with every change of a frame's meaning: both ends must agree. */
  static final int PROTOCOL_VERSION = 2;

  static final int HELLO = 1;

  // Between the Node driver and the driver JVM.
  static final int CALL = 2;
  static final int RESULT = 3;
  static final int FAILURE = 4;
  static final int DATA = 5;
  static final int BATCH = 6;
  static final int BATCH_DONE = 7;
  static final int EVENT = 8;

  // Between an executor and a Node worker.
  static final int TASK = 16;
  static final int INPUT = 17;
  static final int INPUT_END = 18;
  static final int OUTPUT = 19;
  static final int TASK_DONE = 20;
  static final int TASK_FAILED = 21;

  // Between an executor and a Node receiver.
  static final int RECEIVER_START = 32;
  static final int RECEIVER_STARTED = 33;
  static final int BLOCK = 34;
  static final int STORED = 35;
  static final int NOT_STORED = 36;
  static final int RATE = 37;
  static final int REPORT = 38;
  static final int RECEIVER_STOP = 39;

  final int type;
  final byte[] body;

  Frame(int type, byte[] body) {
    this.type = type;
    this.body = body;
  }
}
