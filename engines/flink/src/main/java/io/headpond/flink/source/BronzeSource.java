package io.headpond.flink.source;

import io.headpond.flink.JobDocument;
import io.headpond.flink.Json;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/**
 * Tails the bronze log, each version as one bundle a reader, and folds the rows where they are read: only partials leave it.
 *
 * @param job text of the job document
 */
public record BronzeSource(String job, SourceSettings settings) implements Source<Item, Bundle, String> {
  @Override
  public Boundedness getBoundedness() {
    return Boundedness.CONTINUOUS_UNBOUNDED;
  }

  @Override
  public SourceReader<Item, Bundle> createReader(SourceReaderContext context) {
    return new BronzeReader(context, JobDocument.parse(job), settings);
  }

  @Override
  public SplitEnumerator<Bundle, String> createEnumerator(SplitEnumeratorContext<Bundle> context) {
    JobDocument parsed = JobDocument.parse(job);
    return new BronzeEnumerator(context, parsed, settings, new TailState(Json.text(parsed.program())), true);
  }

  @Override
  public SplitEnumerator<Bundle, String> restoreEnumerator(SplitEnumeratorContext<Bundle> context, String state) {
    return new BronzeEnumerator(context, JobDocument.parse(job), settings, TailState.fromJson(Json.parse(state, "the checkpoint")), false);
  }

  @Override
  public SimpleVersionedSerializer<Bundle> getSplitSerializer() {
    return new JsonSerializer<>(Bundle::toJson, Bundle::fromJson);
  }

  @Override
  public SimpleVersionedSerializer<String> getEnumeratorCheckpointSerializer() {
    return new JsonSerializer<>(text -> Json.parse(text, "state"), Json::text);
  }
}
