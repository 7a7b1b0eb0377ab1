package io.headpond.flink.pager;

import io.headpond.flink.source.Item;
import io.headpond.flink.source.Partials;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.util.OutputTag;

/** Sorts what a reader says: partials go on, facts to the side, and the end of a version becomes the watermark of that version. */
public final class VersionClock extends AbstractStreamOperator<Partials> implements OneInputStreamOperator<Item, Partials> {
  private static final long serialVersionUID = 1;

  public static final OutputTag<Facts> FACTS = new OutputTag<>("facts") {};

  @Override
  public void processElement(StreamRecord<Item> record) {
    Item item = record.getValue();
    if (item.partials != null) output.collect(new StreamRecord<>(item.partials));
    else if (item.end != 0) output.emitWatermark(new Watermark(item.end));
    else output.collect(FACTS, new StreamRecord<>(new Facts(item.step, item.late)));
  }

  /** The source's own: none but the last, which must not settle what no clock has. */
  @Override
  public void processWatermark(Watermark mark) {}
}
