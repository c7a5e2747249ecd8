package io.millrace.bridge;

/**
 * A failure that happened in Node: the message and stack a person reads, with the place in the user's TypeScript, and the error as
 * JSON (ErrorData) for the Node driver, which makes it an error of the same kind again. Java sees nothing in it but text.
 */
public final class NodeFailure extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final String json;

  NodeFailure(String text, String json) {
    super(text, null, false, false);
    this.json = json;
  }

  /** The error as ErrorData in JSON, or null when Node had no chance to say what happened. */
  String json() {
    return json;
  }

  /** The JSON of the first NodeFailure among the causes, or null. Spark keeps a task's exception as the cause of the job's. */
  static String jsonOf(Throwable thrown) {
    for (Throwable cause = thrown; cause != null; cause = cause.getCause()) {
      if (cause instanceof NodeFailure failure && failure.json != null) return failure.json;
      if (cause.getCause() == cause) break;
    }
    return null;
  }
}
