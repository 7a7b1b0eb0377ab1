package io.headpond.flink.source;

import org.apache.flink.api.connector.source.SourceEvent;

/** A reader cannot go on, and no restart would mend it. */
record Lost(String message) implements SourceEvent {}
