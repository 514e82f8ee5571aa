package io.epcsentinel.client;

import com.google.gson.Gson;
import com.google.gson.reflect.TypeToken;
import io.grpc.CallCredentials;
import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.TlsChannelCredentials;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;

/**
 * How to reach the gateway. Files that are null are not used.
 *
 * @param target HOST:PORT, or dns:///HOST:PORT
 * @param caFile certificates (PEM) that the gateway's certificate must go back to; null: no TLS
 * @param certFile this client's certificate (PEM), for mutual TLS
 * @param keyFile the key of {@code certFile} (PEM, PKCS 8)
 * @param tokenFile bearer token, read again for each call, so that a new token needs no restart
 */
public record Connection(String target, Path caFile, Path certFile, Path keyFile, Path tokenFile) {

    private static final Metadata.Key<String> AUTHORIZATION =
            Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

    /** The most bytes of one message. A request that is larger than the limit per call is never retried. */
    private static final int MAX_MESSAGE_BYTES = 32 << 20;

    /** Requests that are kept for retries, of all calls together. */
    private static final int MAX_RETRY_BYTES = 256 << 20;

    public Connection {
        if (tokenFile != null && caFile == null) {
            throw new IllegalArgumentException("a token without TLS can be read on its way: set caFile too");
        }
        if ((certFile == null) != (keyFile == null) || (certFile != null && caFile == null)) {
            throw new IllegalArgumentException("mutual TLS needs certFile, keyFile and caFile: set all three");
        }
    }

    /** Returns a connection without TLS and token. */
    public static Connection plaintext(String target) {
        return new Connection(target, null, null, null, null);
    }

    /** Returns a new channel with the retry policy of service-config.json; it connects at the first call. */
    ManagedChannel open() {
        return Grpc.newChannelBuilder(target, channelCredentials())
                .defaultServiceConfig(serviceConfig())
                .enableRetry()
                .perRpcBufferLimit(MAX_MESSAGE_BYTES)
                .retryBufferSize(MAX_RETRY_BYTES)
                .maxInboundMessageSize(MAX_MESSAGE_BYTES)
                .keepAliveTime(30, TimeUnit.SECONDS) // the gateway allows a ping every 10 s
                .keepAliveTimeout(10, TimeUnit.SECONDS)
                .build();
    }

    /** Returns what each call carries, null without a token. */
    CallCredentials callCredentials() {
        return tokenFile == null ? null : new BearerToken(tokenFile);
    }

    /** Returns service-config.json, for a channel that is made elsewhere. */
    public static Map<String, ?> serviceConfig() {
        try (Reader reader = new InputStreamReader(
                Connection.class.getResourceAsStream("service-config.json"), StandardCharsets.UTF_8)) {
            return new Gson().fromJson(reader, new TypeToken<Map<String, ?>>() {}.getType());
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private ChannelCredentials channelCredentials() {
        if (caFile == null) {
            return InsecureChannelCredentials.create();
        }
        try {
            TlsChannelCredentials.Builder tls = TlsChannelCredentials.newBuilder().trustManager(caFile.toFile());
            return certFile == null ? tls.build() : tls.keyManager(certFile.toFile(), keyFile.toFile()).build();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private static final class BearerToken extends CallCredentials {
        private final Path file;

        BearerToken(Path file) {
            this.file = file;
        }

        @Override
        public void applyRequestMetadata(RequestInfo call, Executor executor, MetadataApplier applier) {
            executor.execute(() -> {
                try {
                    Metadata headers = new Metadata();
                    headers.put(AUTHORIZATION, "Bearer " + Files.readString(file).strip());
                    applier.apply(headers);
                } catch (IOException error) {
                    applier.fail(Status.UNAUTHENTICATED.withDescription("cannot read the token file").withCause(error));
                }
            });
        }

        // No @Override: abstract in older versions of gRPC, deprecated and to be removed in newer ones.
        public void thisUsesUnstableApi() {}
    }
}
