package io.headpond.flink.source;

import io.headpond.flink.bronze.LiveFiles.LiveFile;
import io.headpond.flink.bronze.LogCheckpoint;
import java.util.List;

/**
 * A part of the log that was deleted: it ends with `to`, and `files` hold the rows of its versions beyond `after`, perhaps older ones too,
 * by their first arrival. Empty where nobody asks for rows.
 */
record Gap(LogCheckpoint to, long after, List<LiveFile> files) {}
