package io.headpond.flink;

import io.headpond.flink.pager.Facts;
import io.headpond.flink.pager.OutboxOperator;
import io.headpond.flink.pager.Outcome;
import io.headpond.flink.pager.RuleFunction;
import io.headpond.flink.pager.VersionClock;
import io.headpond.flink.source.BronzeSource;
import io.headpond.flink.source.Item;
import io.headpond.flink.source.Partials;
import io.headpond.flink.source.SourceSettings;
import java.time.Duration;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.ExternalizedCheckpointRetention;
import org.apache.flink.configuration.RestartStrategyOptions;
import org.apache.flink.configuration.StateBackendOptions;
import org.apache.flink.runtime.util.EnvironmentInformation;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/**
 * The pager of one branch on Flink: bronze versions in, transitions in the branch's outbox out. docs/guides/scale-out.md.
 *
 * <pre>flink run headpond-pager.jar --job build/deploy/BRANCH/job.json [--checkpoint-seconds 10] [--cursor-seconds 10] [--gap-files 1024]</pre>
 */
public final class PagerJob {
  private static final String TESTED = "2.3.";
  // In a row; then the job begins again at its last checkpoint. With Flink's 0, one refused request of a checkpoint stops the pages for seconds.
  private static final int FAILED_CHECKPOINTS_MAX = 30;

  private PagerJob() {}

  public static void main(String[] args) throws Exception {
    String place = null;
    long checkpointSeconds = 10, cursorSeconds = 10;
    int gapFiles = SourceSettings.GAP_FILES_MAX;
    for (int i = 0; i + 1 < args.length; i += 2) {
      switch (args[i]) {
        case "--job" -> place = args[i + 1];
        case "--checkpoint-seconds" -> checkpointSeconds = Long.parseLong(args[i + 1]);
        case "--cursor-seconds" -> cursorSeconds = Long.parseLong(args[i + 1]);
        case "--gap-files" -> gapFiles = Integer.parseInt(args[i + 1]);
        default -> throw new IllegalArgumentException("unknown option " + args[i] + "; there are --job, --checkpoint-seconds, --cursor-seconds and --gap-files");
      }
    }
    if (place == null || args.length % 2 != 0) throw new IllegalArgumentException("which branch? --job build/deploy/BRANCH/job.json");
    String flink = EnvironmentInformation.getVersion();
    if (!flink.startsWith(TESTED)) throw new IllegalStateException("this is Flink " + flink + "; the pager was tested on " + TESTED + "x: use that one");
    String text = JobDocument.read(place);
    JobDocument job = JobDocument.parse(text);
    StreamExecutionEnvironment flow = StreamExecutionEnvironment.getExecutionEnvironment(configuration(job, checkpointSeconds));
    build(flow, text, job, SourceSettings.usual(gapFiles), cursorSeconds);
    flow.execute("headpond pager " + job.topology() + " " + job.branch());
  }

  private static Configuration configuration(JobDocument job, long checkpointSeconds) {
    Configuration settings = new Configuration();
    settings.set(CheckpointingOptions.CHECKPOINTING_INTERVAL, Duration.ofSeconds(checkpointSeconds));
    settings.set(CheckpointingOptions.CHECKPOINTS_DIRECTORY, job.checkpointRoot());
    settings.set(CheckpointingOptions.EXTERNALIZED_CHECKPOINT_RETENTION, ExternalizedCheckpointRetention.RETAIN_ON_CANCELLATION);
    settings.set(CheckpointingOptions.INCREMENTAL_CHECKPOINTS, true);
    settings.set(CheckpointingOptions.TOLERABLE_FAILURE_NUMBER, FAILED_CHECKPOINTS_MAX);
    settings.set(StateBackendOptions.STATE_BACKEND, "rocksdb");
    settings.set(RestartStrategyOptions.RESTART_STRATEGY, "exponential-delay");
    settings.set(RestartStrategyOptions.RESTART_STRATEGY_EXPONENTIAL_DELAY_INITIAL_BACKOFF, Duration.ofMillis(200));
    settings.set(RestartStrategyOptions.RESTART_STRATEGY_EXPONENTIAL_DELAY_MAX_BACKOFF, Duration.ofSeconds(30));
    return settings;
  }

  private static void build(StreamExecutionEnvironment flow, String text, JobDocument job, SourceSettings settings, long cursorSeconds) {
    flow.setBufferTimeout(5);
    SingleOutputStreamOperator<Partials> partials =
        flow.fromSource(
                new BronzeSource(text, settings), WatermarkStrategy.noWatermarks(), "bronze " + job.bronze(), TypeInformation.of(Item.class))
            .uid("bronze")
            .transform("version clock", TypeInformation.of(Partials.class), new VersionClock())
            .uid("version-clock");
    var facts = partials.getSideOutput(VersionClock.FACTS).broadcast(new MapStateDescriptor<>("facts", Types.LONG, TypeInformation.of(Facts.class)));
    partials
        .keyBy(p -> p.key, Types.STRING)
        .connect(facts)
        .process(new RuleFunction(text), TypeInformation.of(Outcome.class))
        .uid("rules")
        .name("rules")
        .transform("outbox " + job.pages(), Types.VOID, new OutboxOperator(text, cursorSeconds))
        .uid("outbox")
        .setParallelism(1);
  }
}
