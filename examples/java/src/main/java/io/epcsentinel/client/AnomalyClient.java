package io.epcsentinel.client;

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import io.epcsentinel.v1.AnalyzeRequest;
import io.epcsentinel.v1.AnalyzeResponse;
import io.epcsentinel.v1.AnomalyServiceGrpc;
import io.epcsentinel.v1.Detector;
import io.epcsentinel.v1.ScanEvent;
import io.grpc.CallCredentials;
import io.grpc.Channel;
import io.grpc.ClientInterceptor;
import io.grpc.ClientInterceptors;
import io.grpc.ManagedChannel;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;

/** Asks the gateway; one per application, used by any number of threads. Retries are those of service-config.json. */
public final class AnomalyClient implements AutoCloseable {

    /** The most events of one request that the gateway takes unless it is set otherwise. */
    public static final int MAX_EVENTS = 50_000;

    private final ManagedChannel connections;
    private final Channel channel;
    private final CallCredentials token;
    private final Duration deadline;

    /**
     * @param deadline of each call of {@link #analyze}, for all its attempts and waits together
     * @param interceptors of all calls, such as that of OpenTelemetry
     */
    public AnomalyClient(Connection connection, Duration deadline, ClientInterceptor... interceptors) {
        this.connections = connection.open();
        this.channel = ClientInterceptors.intercept(connections, interceptors);
        this.token = connection.callCredentials();
        this.deadline = deadline;
    }

    /**
     * Judges events of one file in one request.
     *
     * @throws io.grpc.StatusRuntimeException with the status of the last attempt
     */
    public AnalyzeResponse analyze(List<ScanEvent> events, Detector detector) {
        AnalyzeRequest request = AnalyzeRequest.newBuilder().addAllData(events).setDetector(detector).build();
        return AnomalyServiceGrpc.newBlockingStub(channel)
                .withCallCredentials(token)
                .withDeadlineAfter(deadline.toMillis(), TimeUnit.MILLISECONDS)
                .analyze(request);
    }

    /**
     * Judges a file of any size, in as few requests as its lots allow.
     *
     * @param events of one file
     * @param maxEvents of one request
     * @return the answers, to be merged by {@link FileReport#of}
     */
    public List<AnalyzeResponse> analyzeFile(List<ScanEvent> events, Detector detector, int maxEvents) {
        List<AnalyzeResponse> answers = new ArrayList<>();
        for (List<ScanEvent> batch : Batches.of(events, maxEvents)) {
            answers.add(analyze(batch, detector));
        }
        return answers;
    }

    /**
     * Opens a stream that survives restarts of the gateway.
     *
     * @param onAnswer takes each request with its answer, in order, on a thread of gRPC: it must not wait
     * @param giveUp how long to try without any answer
     */
    public AnomalyStream stream(BiConsumer<AnalyzeRequest, AnalyzeResponse> onAnswer, Duration giveUp) {
        return new AnomalyStream(
                AnomalyServiceGrpc.newStub(channel).withCallCredentials(token),
                connections::resetConnectBackoff,
                onAnswer,
                giveUp);
    }

    /** Returns what was wrong with a refused request, by field ("data[17].event_time"); empty if it says nothing. */
    public static Map<String, String> badFields(Throwable error) {
        Map<String, String> fields = new LinkedHashMap<>();
        com.google.rpc.Status status = StatusProto.fromThrowable(error);
        if (status == null) {
            return fields;
        }
        for (com.google.protobuf.Any detail : status.getDetailsList()) {
            if (detail.is(BadRequest.class)) {
                for (BadRequest.FieldViolation violation : unpack(detail).getFieldViolationsList()) {
                    fields.put(violation.getField(), violation.getDescription());
                }
            }
        }
        return fields;
    }

    @Override
    public void close() {
        connections.shutdown();
        try {
            connections.awaitTermination(5, TimeUnit.SECONDS);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
        connections.shutdownNow();
    }

    private static BadRequest unpack(com.google.protobuf.Any detail) {
        try {
            return detail.unpack(BadRequest.class);
        } catch (InvalidProtocolBufferException error) {
            throw new IllegalStateException("the gateway sent a BadRequest that is none", error);
        }
    }
}
