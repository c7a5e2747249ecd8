package io.millrace.bridge;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.spark.SparkEnv;

/** Small files on whatever file system the checkpoint directory is on, for the state the Node driver keeps beside Spark's own. */
final class Files {
  /** Writes the whole file or nothing: into a temporary name, flushed, then renamed over the old one. */
  void write(String name, byte[] bytes, Configuration conf) throws IOException {
    Path path = new Path(name);
    Path temporary = new Path(path.getParent(), "." + path.getName() + ".tmp");
    FileSystem system = path.getFileSystem(conf);
    try (FSDataOutputStream out = system.create(temporary, true)) {
      out.write(bytes);
      out.hsync();
    }
    if (!system.rename(temporary, path)) {
      // HDFS does not rename over an existing file.
      system.delete(path, false);
      if (!system.rename(temporary, path)) throw new IOException("Cannot rename " + temporary + " to " + path + ".");
    }
  }

  /** The file's bytes, or null when there is no such file. */
  byte[] read(String name, Configuration conf) throws IOException {
    Path path = new Path(name);
    try (FSDataInputStream in = path.getFileSystem(conf).open(path)) {
      return in.readAllBytes();
    } catch (FileNotFoundException missing) {
      return null;
    }
  }

  /** The names in a directory, in no order; none when it does not exist. */
  List<Object> list(String name, Configuration conf) throws IOException {
    Path path = new Path(name);
    List<Object> names = new ArrayList<>();
    try {
      for (FileStatus status : path.getFileSystem(conf).listStatus(path)) names.add(status.getPath().getName());
    } catch (FileNotFoundException missing) {
      return names;
    }
    return names;
  }

  /** Deletes a file, or a directory with all that is in it; false when there was none. */
  boolean delete(String name, Configuration conf) throws IOException {
    Path path = new Path(name);
    return path.getFileSystem(conf).delete(path, true);
  }

  /** Renames a file or a directory to a name that is free. */
  void rename(String from, String to, Configuration conf) throws IOException {
    Path path = new Path(from);
    if (!path.getFileSystem(conf).rename(path, new Path(to))) throw new IOException("Cannot rename " + from + " to " + to + ".");
  }

  /** True if Spark has written a checkpoint of a StreamingContext into that directory. */
  boolean hasCheckpoint(String directory, Configuration conf) throws IOException {
    return list(directory, conf).stream().anyMatch(name -> ((String) name).matches("checkpoint-\\d+"));
  }

  /** The name with its file system, the same from every machine. */
  String qualified(String name, Configuration conf) throws IOException {
    Path path = new Path(name);
    return path.getFileSystem(conf).makeQualified(path).toString();
  }

  /** Hadoop's settings as Spark has them, on an executor. */
  static Configuration executorConfiguration() {
    Configuration conf = new Configuration();
    for (var setting : SparkEnv.get().conf().getAllWithPrefix("spark.hadoop.")) conf.set(setting._1(), setting._2());
    return conf;
  }
}
