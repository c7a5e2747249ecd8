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

  /** A failure that the bridge found: the Node driver makes a MillraceError of it, with this code. */
  static NodeFailure coded(String code, String message) {
    return new NodeFailure(code + ": " + message, "{\"name\":\"MillraceError\",\"message\":" + quoted(message)
        + ",\"stack\":null,\"code\":" + quoted(code) + ",\"details\":null,\"cause\":null}");
  }

  private static String quoted(String text) {
    StringBuilder json = new StringBuilder("\"");
    text.chars().forEach(unit -> {
      if (unit < ' ' || unit == '"' || unit == '\\') json.append(String.format("\\u%04x", unit));
      else json.append((char) unit);
    });
    return json.append('"').toString();
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
