package io.epcsentinel.client;

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import io.epcsentinel.v1.AnalyzeRequest;
import io.epcsentinel.v1.AnalyzeResponse;
import io.epcsentinel.v1.AnomalyServiceGrpc;
import io.epcsentinel.v1.Detector;
import io.epcsentinel.v1.ExplainFindingsResponse;
import io.epcsentinel.v1.ScanEvent;
import io.grpc.CallCredentials;
import io.grpc.Channel;
import io.grpc.ClientInterceptor;
import io.grpc.ClientInterceptors;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.MetadataUtils;
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

    private static final Metadata.Key<String> LANGUAGE =
            Metadata.Key.of("accept-language", Metadata.ASCII_STRING_MARSHALLER);

    private final Channel channel;
    private final ManagedChannel owned; // null: the caller's
    private final Runnable reconnect;
    private final CallCredentials token;
    private final Duration deadline;

    /**
     * @param deadline of each call of {@link #analyze}, for all its attempts and waits together
     * @param interceptors of all calls, such as that of OpenTelemetry
     */
    public AnomalyClient(Connection connection, Duration deadline, ClientInterceptor... interceptors) {
        this.owned = connection.open();
        this.channel = ClientInterceptors.intercept(owned, interceptors);
        this.reconnect = owned::resetConnectBackoff;
        this.token = connection.callCredentials();
        this.deadline = deadline;
    }

    /**
     * Uses a channel that is there already, and leaves it open. Retries are those of the channel.
     *
     * @param token what each call carries; null: nothing
     * @param deadline of each call of {@link #analyze}, for all its attempts and waits together
     */
    public AnomalyClient(Channel channel, CallCredentials token, Duration deadline) {
        this.owned = null;
        this.channel = channel;
        this.reconnect = channel instanceof ManagedChannel managed ? managed::resetConnectBackoff : () -> {};
        this.token = token;
        this.deadline = deadline;
    }

    /**
     * Judges events of one file in one request.
     *
     * @throws StatusRuntimeException with the status of the last attempt
     * @throws IllegalArgumentException there are no events, or one is null
     */
    public AnalyzeResponse analyze(List<ScanEvent> events, Detector detector) {
        AnalyzeRequest request = AnalyzeRequest.newBuilder()
                .addAllData(Events.checked(events))
                .setDetector(detector)
                .build();
        return AnomalyServiceGrpc.newBlockingStub(channel)
                .withCallCredentials(token)
                .withDeadlineAfter(deadline.toMillis(), TimeUnit.MILLISECONDS)
                .analyze(request);
    }

    /**
     * Says why events are flagged: the cause of each finding with a sentence, and which findings are one incident. The same
     * events give the same findings as {@link #analyze}.
     *
     * @param language of the sentences, as in the header Accept-Language: "en" or "ko"
     * @throws StatusRuntimeException with the status of the last attempt
     * @throws IllegalArgumentException there are no events, or one is null
     */
    public ExplainFindingsResponse explainFindings(List<ScanEvent> events, Detector detector, String language) {
        AnalyzeRequest request = AnalyzeRequest.newBuilder()
                .addAllData(Events.checked(events))
                .setDetector(detector)
                .build();
        Metadata headers = new Metadata();
        headers.put(LANGUAGE, language);
        return AnomalyServiceGrpc.newBlockingStub(channel)
                .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers))
                .withCallCredentials(token)
                .withDeadlineAfter(deadline.toMillis(), TimeUnit.MILLISECONDS)
                .explainFindings(request);
    }

    /**
     * Judges a file of any size, in as few requests as its lots allow.
     *
     * @param events of one file
     * @param maxEvents of one request
     * @return the answers, to be merged by {@link FileReport#of}
     * @throws UnfinishedFileException a part has failed; has the answers to the parts before, and the rest
     * @throws IllegalArgumentException there are no events, one is null, or {@code maxEvents} is not positive
     */
    public List<AnalyzeResponse> analyzeFile(List<ScanEvent> events, Detector detector, int maxEvents) {
        List<AnalyzeResponse> answers = new ArrayList<>();
        List<List<ScanEvent>> batches = Batches.of(Events.checked(events), maxEvents);
        for (List<ScanEvent> batch : batches) {
            try {
                answers.add(analyze(batch, detector));
            } catch (StatusRuntimeException failure) {
                List<List<ScanEvent>> rest = batches.subList(answers.size(), batches.size());
                throw new UnfinishedFileException(failure, answers, rest.stream().flatMap(List::stream).toList());
            }
        }
        return answers;
    }

    /**
     * Opens a stream that survives restarts of the gateway.
     *
     * @param onAnswer takes each request with its answer, in order, on a thread of the stream: it may wait, which slows
     *     the stream down, but must not send or finish
     * @param giveUp how long to try without any answer
     */
    public AnomalyStream stream(BiConsumer<AnalyzeRequest, AnalyzeResponse> onAnswer, Duration giveUp) {
        return new AnomalyStream(
                AnomalyServiceGrpc.newStub(channel).withCallCredentials(token),
                reconnect,
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

    /** Closes its channel, after 5 seconds with the calls that still wait; one of the caller stays open. */
    @Override
    public void close() {
        if (owned == null) {
            return;
        }
        owned.shutdown();
        try {
            owned.awaitTermination(5, TimeUnit.SECONDS);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
        owned.shutdownNow();
    }

    private static BadRequest unpack(com.google.protobuf.Any detail) {
        try {
            return detail.unpack(BadRequest.class);
        } catch (InvalidProtocolBufferException error) {
            throw new IllegalStateException("the gateway sent a BadRequest that is none", error);
        }
    }
}
