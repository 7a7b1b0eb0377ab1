package io.headpond.flink.lake;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import software.amazon.awssdk.core.checksums.RequestChecksumCalculation;
import software.amazon.awssdk.core.checksums.ResponseChecksumValidation;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.S3Configuration;
import software.amazon.awssdk.services.s3.model.NoSuchKeyException;
import software.amazon.awssdk.services.s3.model.S3Exception;
import software.amazon.awssdk.services.s3.model.S3Object;

/** A lake in S3, or in a store that speaks its protocol. An http endpoint is addressed path-style. */
final class S3Store implements ObjectStore {
  private static final int NOT_FOUND = 404, CONFLICT = 409, PRECONDITION_FAILED = 412;

  private final S3Client client;
  private final String bucket, prefix;

  private S3Store(S3Client client, String bucket, String prefix) {
    this.client = client;
    this.bucket = bucket;
    this.prefix = prefix.isEmpty() ? "" : prefix + "/";
  }

  static S3Store open(String bucket, String prefix) {
    String endpoint = System.getenv("AWS_ENDPOINT_URL");
    String region = System.getenv("AWS_REGION");
    var builder =
        S3Client.builder()
            .region(Region.of(region == null ? "us-east-1" : region))
            .requestChecksumCalculation(RequestChecksumCalculation.WHEN_REQUIRED)
            .responseChecksumValidation(ResponseChecksumValidation.WHEN_REQUIRED)
            .serviceConfiguration(S3Configuration.builder().expectContinueEnabled(false).build())
            .overrideConfiguration(config -> config.apiCallTimeout(Duration.ofSeconds(60)).apiCallAttemptTimeout(Duration.ofSeconds(30)))
            .httpClientBuilder(
                UrlConnectionHttpClient.builder().connectionTimeout(Duration.ofSeconds(3)).socketTimeout(Duration.ofSeconds(20)));
    if (endpoint != null) {
      builder.endpointOverride(URI.create(endpoint)).forcePathStyle(endpoint.startsWith("http://"));
    }
    return new S3Store(builder.build(), bucket, prefix);
  }

  private interface Call<T> {
    T run() throws SdkException;
  }

  private static <T> T call(String what, Call<T> call) throws IOException {
    try {
      return call.run();
    } catch (SdkException e) {
      throw new IOException(what + ": " + e.getMessage(), e);
    }
  }

  @Override
  public Optional<byte[]> get(String path) throws IOException {
    return call("read " + path, () -> {
      try {
        return Optional.of(client.getObjectAsBytes(r -> r.bucket(bucket).key(prefix + path)).asByteArrayUnsafe());
      } catch (NoSuchKeyException e) {
        return Optional.empty();
      } catch (S3Exception e) {
        if (e.statusCode() == NOT_FOUND) return Optional.empty();
        throw e;
      }
    });
  }

  @Override
  public void download(String path, Path to) throws IOException {
    try {
      call("download " + path, () -> client.getObject(r -> r.bucket(bucket).key(prefix + path), to));
    } catch (IOException e) {
      boolean none = e.getCause() instanceof NoSuchKeyException; // not NoSuchBucket
      throw none ? new NoSuchObject(path, e) : e;
    }
  }

  @Override
  public void put(String path, byte[] bytes) throws IOException {
    call("write " + path, () -> client.putObject(r -> r.bucket(bucket).key(prefix + path), RequestBody.fromBytes(bytes)));
  }

  @Override
  public boolean putIfAbsent(String path, byte[] bytes) throws IOException {
    return call("create " + path, () -> {
      try {
        client.putObject(r -> r.bucket(bucket).key(prefix + path).ifNoneMatch("*"), RequestBody.fromBytes(bytes));
        return true;
      } catch (S3Exception e) {
        if (e.statusCode() == PRECONDITION_FAILED || e.statusCode() == CONFLICT) return false;
        throw e;
      }
    });
  }

  @Override
  public List<String> list(String pathPrefix, String after, int max) throws IOException {
    return call("list " + pathPrefix, () ->
        client
            .listObjectsV2Paginator(r -> {
              r.bucket(bucket).prefix(prefix + pathPrefix).maxKeys(Math.min(max, 1000));
              if (!after.isEmpty()) r.startAfter(prefix + after);
            })
            .contents()
            .stream()
            .map(S3Object::key)
            .map(key -> key.substring(prefix.length()))
            .limit(max)
            .toList());
  }

  @Override
  public void remove(String path) throws IOException {
    call("remove " + path, () -> client.deleteObject(r -> r.bucket(bucket).key(prefix + path)));
  }

  @Override
  public void close() {
    client.close();
  }
}
