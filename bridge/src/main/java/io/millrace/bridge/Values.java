package io.millrace.bridge;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;

/**
 * The body of a control frame: one value, self-describing. A value is a tag byte and its data: null, a boolean, a whole number of
 * 32 or 64 bits, a double, text in UTF-8, bytes, or a list of values. Every field of a message is present; null means "none".
 */
final class Values {
  private static final int NULL = 0;
  private static final int TRUE = 1;
  private static final int FALSE = 2;
  private static final int INT = 3;
  private static final int LONG = 4;
  private static final int DOUBLE = 5;
  private static final int TEXT = 6;
  private static final int BYTES = 7;
  private static final int LIST = 8;

  private Values() {}

  /** The list of these values as the body of a frame. */
  static byte[] encode(Object... fields) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream(64);
    try {
      write(new DataOutputStream(bytes), Arrays.asList(fields));
    } catch (IOException impossible) {
      throw new UncheckedIOException(impossible);
    }
    return bytes.toByteArray();
  }

  /** The fields of a body written by {@link #encode}. */
  static List<Object> decode(byte[] body) throws IOException {
    Object value = read(new DataInputStream(new ByteArrayInputStream(body)));
    return list(value);
  }

  @SuppressWarnings("unchecked")
  static List<Object> list(Object value) {
    return (List<Object>) value;
  }

  static int toInt(Object value) {
    return ((Number) value).intValue();
  }

  static long toLong(Object value) {
    return ((Number) value).longValue();
  }

  static int[] toInts(Object value) {
    return list(value).stream().mapToInt(Values::toInt).toArray();
  }

  static String toText(Object value) {
    return (String) value;
  }

  static byte[] toBytes(Object value) {
    return (byte[]) value;
  }

  private static void write(DataOutputStream out, Object value) throws IOException {
    if (value == null) {
      out.writeByte(NULL);
    } else if (value instanceof Boolean flag) {
      out.writeByte(flag ? TRUE : FALSE);
    } else if (value instanceof Integer number) {
      out.writeByte(INT);
      out.writeInt(number);
    } else if (value instanceof Long number) {
      out.writeByte(LONG);
      out.writeLong(number);
    } else if (value instanceof Number number) {
      out.writeByte(DOUBLE);
      out.writeDouble(number.doubleValue());
    } else if (value instanceof byte[] bytes) {
      out.writeByte(BYTES);
      out.writeInt(bytes.length);
      out.write(bytes);
    } else if (value instanceof Collection<?> items) {
      out.writeByte(LIST);
      out.writeInt(items.size());
      for (Object item : items) write(out, item);
    } else {
      byte[] text = value.toString().getBytes(StandardCharsets.UTF_8);
      out.writeByte(TEXT);
      out.writeInt(text.length);
      out.write(text);
    }
  }

  private static Object read(DataInputStream in) throws IOException {
    int tag = in.readUnsignedByte();
    switch (tag) {
      case NULL:
        return null;
      case TRUE:
        return true;
      case FALSE:
        return false;
      case INT:
        return in.readInt();
      case LONG:
        return in.readLong();
      case DOUBLE:
        return in.readDouble();
      case TEXT:
        return new String(in.readNBytes(in.readInt()), StandardCharsets.UTF_8);
      case BYTES:
        return in.readNBytes(in.readInt());
      case LIST:
        int size = in.readInt();
        List<Object> items = new ArrayList<>(Math.min(size, 1 << 16));
        for (int i = 0; i < size; i++) items.add(read(in));
        return items;
      default:
        throw new IOException("Tag " + tag + " is not a value of this protocol.");
    }
  }
}
