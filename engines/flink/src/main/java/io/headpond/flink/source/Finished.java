package io.headpond.flink.source;

import org.apache.flink.api.connector.source.SourceEvent;

/** A reader has handed on all of this version. */
public record Finished(long version) implements SourceEvent {}
