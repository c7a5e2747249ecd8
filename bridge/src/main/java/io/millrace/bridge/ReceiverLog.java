package io.millrace.bridge;

import java.io.ByteArrayInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.ObjectInputStream;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.spark.SparkEnv;
import org.apache.spark.serializer.DeserializationStream;
import scala.Option;

/**
 * Reads back from Spark's logs the newest blocks of a stream, those that its source may send again: after the loss of an executor, or of
 * the driver, the next receiver recognises them. Only blocks count that the driver knows; its log says which, and where they are.
 *
 * <p>The logs' classes are private[streaming], which is public in bytecode. Where they cannot be read, what comes again counts again.
 */
final class ReceiverLog {
  private static final int BYTES_MAX = 64 << 20;

  /** A block in the data log. */
  private record Place(Path path, long offset) {}

  private final String directory;
  private final int stream;
  private final Configuration conf = Files.executorConfiguration();

  ReceiverLog(String directory, int stream) {
    this.directory = directory;
    this.stream = stream;
  }

  /** The blocks, oldest first; at most 64 MiB. */
  List<byte[]> tail() throws IOException {
    List<byte[]> blocks = new ArrayList<>();
    int wanted = 1;
    int bytes = 0;
    List<FileStatus> files = logFiles();
    for (int file = files.size() - 1; file >= 0 && blocks.size() < wanted; file--) {
      List<Place> places = placesIn(files.get(file).getPath());
      for (int i = places.size() - 1; i >= 0 && blocks.size() < wanted && bytes < BYTES_MAX; i--) {
        byte[] block = read(places.get(i));
        if (blocks.isEmpty()) wanted = 1 + tailOf(block);
        blocks.add(0, block);
        bytes += block.length;
      }
    }
    return blocks;
  }

  /** How many blocks before this one its source may send again: docs/protocol.md has the form of a block. */
  static int tailOf(byte[] block) {
    return block.length >= 5 && block[0] == 0 ? ByteBuffer.wrap(block).getInt(1) : 0;
  }

  /** The files of the driver's log, by the time they were begun: log-from-to. */
  private List<FileStatus> logFiles() throws IOException {
    Path log = new Path(directory, "receivedBlockMetadata");
    FileSystem system = log.getFileSystem(conf);
    List<FileStatus> files = new ArrayList<>();
    if (!system.exists(log)) return files;
    for (FileStatus file : system.listStatus(log)) {
      if (file.getPath().getName().matches("log-\\d+-\\d+")) files.add(file);
    }
    files.sort(Comparator.comparingLong(file -> Long.parseLong(file.getPath().getName().split("-")[1])));
    return files;
  }

  private List<Place> placesIn(Path file) throws IOException {
    List<Place> places = new ArrayList<>();
    try (FSDataInputStream in = file.getFileSystem(conf).open(file)) {
      for (;;) {
        byte[] record = new byte[in.readInt()];
        in.readFully(record);
        Object content = javaObject(record);
        // Events that came at once are one record.
        if (content instanceof byte[][] several) for (byte[] each : several) addPlace(javaObject(each), places);
        else addPlace(content, places);
      }
    } catch (EOFException end) {
      // The last record may be half written.
      return places;
    }
  }

  private void addPlace(Object event, List<Place> places) throws IOException {
    if (!event.getClass().getSimpleName().equals("BlockAdditionEvent")) return;
    try {
      Object info = get(event, "receivedBlockInfo");
      if ((Integer) get(info, "streamId") != stream) return;
      Option<?> handle = (Option<?>) get(info, "walRecordHandleOption");
      if (handle.isEmpty()) return;
      places.add(new Place(new Path((String) get(handle.get(), "path")), (Long) get(handle.get(), "offset")));
    } catch (ReflectiveOperationException unknown) {
      throw new IOException("The log of this Spark has another form.", unknown);
    }
  }

  private static Object get(Object from, String name) throws ReflectiveOperationException {
    return from.getClass().getMethod(name).invoke(from);
  }

  private static Object javaObject(byte[] bytes) throws IOException {
    try (ObjectInputStream in = new ObjectInputStream(new ByteArrayInputStream(bytes))) {
      return in.readObject();
    } catch (ClassNotFoundException unknown) {
      throw new IOException("The log of this Spark has another form.", unknown);
    }
  }

  /** The bytes of a block: its first element; the others are empty. */
  private byte[] read(Place place) throws IOException {
    byte[] record;
    try (FSDataInputStream in = place.path.getFileSystem(conf).open(place.path)) {
      in.seek(place.offset);
      record = new byte[in.readInt()];
      in.readFully(record);
    }
    DeserializationStream elements =
        SparkEnv.get().serializer().newInstance().deserializeStream(new ByteArrayInputStream(record));
    try {
      return (byte[]) elements.asIterator().next();
    } finally {
      elements.close();
    }
  }
}
