package io.millrace.bridge;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

/**
 * Frames over a pair of byte streams: four bytes of length (of what follows), one byte of type, the body. One thread reads; any
 * thread writes, a frame at a time.
 */
final class FrameLink {
  private static final int BUFFER_BYTES = 1 << 16;
  /** A longer frame means the stream is out of step, not that somebody sent so much. */
  private static final int FRAME_BYTES_MAX = 1 << 30;

  private final DataInputStream in;
  private final DataOutputStream out;

  FrameLink(InputStream in, OutputStream out) {
    this.in = new DataInputStream(new BufferedInputStream(in, BUFFER_BYTES));
    this.out = new DataOutputStream(new BufferedOutputStream(out, BUFFER_BYTES));
  }

  /** The next frame, or null when the other end closed the stream between two frames. */
  Frame read() throws IOException {
    int length;
    try {
      length = in.readInt();
    } catch (EOFException end) {
      return null;
    }
    if (length < 1 || length > FRAME_BYTES_MAX) {
      throw new IOException("A frame of " + length + " bytes cannot be: the stream carries something else than frames.");
    }
    int type = in.readUnsignedByte();
    byte[] body = in.readNBytes(length - 1);
    if (body.length != length - 1) throw new EOFException("The stream ended within a frame.");
    return new Frame(type, body);
  }

  /** Writes a control frame and sends it on its way. */
  synchronized void send(int type, Object... fields) throws IOException {
    byte[] body = Values.encode(fields);
    out.writeInt(body.length + 1);
    out.writeByte(type);
    out.write(body);
    out.flush();
  }

  /** Writes a frame of raw bytes behind whole numbers, without flushing: more of its kind follow. */
  synchronized void write(int type, byte[] bytes, int... numbers) throws IOException {
    out.writeInt(1 + 4 * numbers.length + bytes.length);
    out.writeByte(type);
    for (int number : numbers) out.writeInt(number);
    out.write(bytes);
  }

  synchronized void flush() throws IOException {
    out.flush();
  }
}
