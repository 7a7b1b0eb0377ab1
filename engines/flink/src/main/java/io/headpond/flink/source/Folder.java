package io.headpond.flink.source;

import io.headpond.flink.JobDocument;
import io.headpond.flink.bronze.DeltaCommit;
import io.headpond.flink.lake.ObjectStore;
import io.headpond.rules.RuleCore;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Reduces the rows of files to partials, by the query of the C++ rule core in the same DuckDB the binary has. Files lie on the local disk only
 * while they are read. Threads: one at a time.
 */
final class Folder implements AutoCloseable {
  record Folded(List<Partials> partials, long late) {}

  private final JobDocument job;
  private final ObjectStore lake;
  private final long bytesMax;
  private final Path scratch;
  private final Connection database;
  private final long core;
  private final int keys, measures;
  private final int[] foldKeys, foldMeasures;
  private final boolean[][] presence;
  private final String[] foldIds;
  private long files;

  Folder(JobDocument job, ObjectStore lake, long bytesMax, Path scratch) throws SQLException {
    this.job = job;
    this.lake = lake;
    this.bytesMax = bytesMax;
    this.scratch = scratch;
    core = RuleCore.open(job.programBytes(), job.generation(), job.claimedAtUs());
    int[] shape = RuleCore.foldShape(core);
    int folds = shape[0];
    keys = shape[1];
    measures = shape[2];
    foldKeys = new int[folds];
    foldMeasures = new int[folds];
    presence = new boolean[folds][];
    foldIds = new String[folds];
    for (int f = 0; f < folds; ++f) {
      foldKeys[f] = shape[3 + 2 * f];
      foldMeasures[f] = shape[4 + 2 * f];
      foldIds[f] = RuleCore.foldId(core, f);
      presence[f] = new boolean[foldMeasures[f]];
      for (int m = 0; m < foldMeasures[f]; ++m)
        presence[f][m] = job.program().path("folds").path(f).path("measures").path(m).path("kind").asText().equals("presence");
    }
    database = DriverManager.getConnection("jdbc:duckdb:");
    try (Statement statement = database.createStatement()) {
      statement.execute("SET threads=1");
      statement.execute("SET memory_limit='512MB'");
      statement.execute("SET temp_directory='" + scratch.toString().replace("'", "''") + "'");
    }
  }

  /** The first query takes half a second longer: best before the first version comes. */
  void warmUp() throws SQLException {
    try (Statement statement = database.createStatement()) {
      statement.execute("SELECT count(*) FROM range(10) WHERE range % 2 = 0");
    }
  }

  /** Of a bundle with its step. */
  Folded fold(Bundle bundle) throws IOException, SQLException {
    List<DeltaCommit.DataFile> all = bundle.files();
    Map<String, TreeMap<Long, long[]>> sums = new HashMap<>();
    Map<String, Integer> foldOf = new HashMap<>();
    long late = 0;
    for (int from = 0; from < all.size(); ) {
      int to = from;
      long bytes = 0;
      while (to < all.size() && (to == from || bytes + all.get(to).bytes() <= bytesMax)) bytes += all.get(to++).bytes();
      late += foldSome(all.subList(from, to), bundle, sums, foldOf);
      from = to;
    }
    List<Partials> out = new ArrayList<>(sums.size());
    sums.forEach((key, slices) -> out.add(new Partials(key, bundle.step().at(), flat(slices, foldMeasures[foldOf.get(key)]))));
    return new Folded(out, late);
  }

  private long foldSome(List<DeltaCommit.DataFile> some, Bundle bundle, Map<String, TreeMap<Long, long[]>> sums, Map<String, Integer> foldOf)
      throws IOException, SQLException {
    List<Path> local = new ArrayList<>();
    try {
      for (DeltaCommit.DataFile file : some) local.add(fetch(file));
      String sql = RuleCore.foldSql(core, Scan.expression(local, Scan.withColumnsOf(job.program(), bundle.columns()), bundle.after()));
      try (Statement statement = database.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
        long late = 0;
        while (rows.next()) late += add(rows, sums, foldOf);
        return late;
      }
    } finally {
      for (Path path : local) Files.deleteIfExists(path);
    }
  }

  /** Under the folder of its day, which DuckDB reads as the column ingest_date. */
  private Path fetch(DeltaCommit.DataFile file) throws IOException {
    Path name = Path.of(file.path());
    Path folder = name.getParent() == null ? scratch : scratch.resolve(name.getParent());
    Files.createDirectories(folder);
    Path to = folder.resolve(++files + ".parquet");
    lake.download(job.bronzePath(file.path()), to);
    return to;
  }

  /** One row: fold, keys, slice, values, late rows; see rules/fold.h. Returns its late rows. */
  private long add(ResultSet row, Map<String, TreeMap<Long, long[]>> sums, Map<String, Integer> foldOf) throws SQLException {
    int fold = row.getInt(1);
    String[] values = new String[foldKeys[fold]];
    for (int k = 0; k < values.length; ++k) values[k] = row.getString(2 + k);
    long slice = row.getLong(2 + keys), late = 0;
    long[] measured = new long[foldMeasures[fold]];
    boolean any = false;
    for (int m = 0; m < measured.length; ++m) {
      long nothing = presence[fold][m] ? Long.MIN_VALUE : 0;
      measured[m] = row.getLong(3 + keys + m);
      if (row.wasNull()) measured[m] = nothing;
      any = any || measured[m] != nothing;
      late += row.getLong(3 + keys + measures + m);
    }
    if (!any) return late;
    String key = foldIds[fold] + RuleCore.keyJson(core, fold, values);
    foldOf.put(key, fold);
    sums.computeIfAbsent(key, k -> new TreeMap<>()).merge(slice, measured, (a, b) -> merged(a, b, presence[fold]));
    return late;
  }

  private static long[] merged(long[] a, long[] b, boolean[] presence) {
    long[] out = new long[a.length];
    for (int m = 0; m < a.length; ++m) out[m] = presence[m] ? Math.max(a[m], b[m]) : a[m] + b[m];
    return out;
  }

  private static long[] flat(TreeMap<Long, long[]> slices, int measures) {
    long[] out = new long[slices.size() * (1 + measures)];
    int at = 0;
    for (var slice : slices.entrySet()) {
      out[at++] = slice.getKey();
      for (long value : slice.getValue()) out[at++] = value;
    }
    return out;
  }

  @Override
  public void close() throws SQLException {
    database.close();
    RuleCore.close(core);
  }
}
