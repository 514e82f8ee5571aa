package io.epcsentinel.client;

import io.epcsentinel.v1.AnalyzeRequest;
import io.epcsentinel.v1.AnalyzeResponse;
import io.epcsentinel.v1.AnomalyServiceGrpc.AnomalyServiceStub;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.StreamObserver;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;

/**
 * An AnalyzeStream that survives restarts of the gateway: what got no answer is kept and sent again, unchanged and in
 * order. gRPC's own retries end with the first answer of a stream, so they are no help here. For one sending thread.
 */
public final class AnomalyStream implements AutoCloseable {

    /** How a stream ends that may go on; OK before the last answer is a proxy that leaves. */
    private static final Set<Status.Code> RETRIED =
            Set.of(Status.Code.UNAVAILABLE, Status.Code.RESOURCE_EXHAUSTED, Status.Code.OK);

    private static final int MAX_UNANSWERED = 64;
    private static final long FIRST_BACKOFF_MS = 100;
    private static final long MAX_BACKOFF_MS = 2_000;

    private final AnomalyServiceStub stub;
    private final Runnable reconnect;
    private final BiConsumer<AnalyzeRequest, AnalyzeResponse> onAnswer;
    private final long giveUpNs;
    private final ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor(AnomalyStream::daemon);

    // All below is guarded by this.
    private final Deque<AnalyzeRequest> unanswered = new ArrayDeque<>();
    private Attempt attempt;
    private long backoffMs = FIRST_BACKOFF_MS;
    private long lastAnswerNs = System.nanoTime();
    private int restarts;
    private boolean done; // by finish or close
    private StatusRuntimeException failure; // null while the stream goes on

    AnomalyStream(
            AnomalyServiceStub stub,
            Runnable reconnect,
            BiConsumer<AnalyzeRequest, AnalyzeResponse> onAnswer,
            Duration giveUp) {
        this.stub = stub;
        this.reconnect = reconnect;
        this.onAnswer = onAnswer;
        this.giveUpNs = giveUp.toNanos();
        open();
    }

    /**
     * Sends a request; waits while 64 requests have no answer.
     *
     * @throws StatusRuntimeException the stream has failed; what has no answer can be sent in another stream
     */
    public synchronized void send(AnalyzeRequest request) throws InterruptedException {
        while (failure == null && unanswered.size() >= MAX_UNANSWERED) {
            wait();
        }
        throwFailure();
        if (unanswered.isEmpty()) {
            lastAnswerNs = System.nanoTime(); // nobody waited until now
        }
        unanswered.add(request);
        if (attempt != null) {
            attempt.outbox.onNext(request);
        }
    }

    /**
     * Waits until all is answered.
     *
     * @throws StatusRuntimeException the stream has failed before
     */
    public synchronized void finish() throws InterruptedException {
        while (failure == null && !unanswered.isEmpty()) {
            wait();
        }
        throwFailure();
        done = true;
        if (attempt != null) {
            attempt.outbox.onCompleted();
        }
    }

    /** Returns how often the stream was opened again. */
    public synchronized int restarts() {
        return restarts;
    }

    /** Gives up what has no answer yet. */
    @Override
    public synchronized void close() {
        timer.shutdownNow();
        if (!done && attempt != null) {
            attempt.outbox.onError(Status.CANCELLED.withDescription("closed by the caller").asException());
        }
        done = true;
    }

    private synchronized void open() {
        if (done) {
            return;
        }
        attempt = new Attempt();
        // Without waitForReady: a gateway that is away ends the attempt, and giveUp stays in force.
        attempt.outbox = stub.analyzeStream(attempt);
        unanswered.forEach(attempt.outbox::onNext);
    }

    private synchronized void answered(Attempt from, AnalyzeResponse response) {
        if (from != attempt || unanswered.isEmpty()) {
            return; // of an attempt that is over
        }
        onAnswer.accept(unanswered.remove(), response);
        lastAnswerNs = System.nanoTime();
        backoffMs = FIRST_BACKOFF_MS;
        notifyAll();
    }

    private synchronized void ended(Attempt from, Status status, Metadata trailers) {
        if (from != attempt || done) {
            return;
        }
        attempt = null;
        boolean late = !unanswered.isEmpty() && System.nanoTime() - lastAnswerNs > giveUpNs;
        if (late || !RETRIED.contains(status.getCode())) {
            Status shown = status.isOk() ? Status.UNAVAILABLE.withDescription("the stream ended too early") : status;
            failure = shown.asRuntimeException(trailers); // they name the bad fields
            notifyAll();
            return;
        }
        restarts++;
        reconnect.run(); // gRPC's own wait before it connects again grows to two minutes
        timer.schedule(this::open, backoffMs, TimeUnit.MILLISECONDS);
        backoffMs = Math.min(2 * backoffMs, MAX_BACKOFF_MS);
    }

    private void throwFailure() {
        if (failure != null) {
            throw failure;
        }
    }

    private static Thread daemon(Runnable work) {
        Thread thread = new Thread(work, "anomaly-stream");
        thread.setDaemon(true);
        return thread;
    }

    /** One call of AnalyzeStream. */
    private final class Attempt implements StreamObserver<AnalyzeResponse> {
        private StreamObserver<AnalyzeRequest> outbox;

        @Override
        public void onNext(AnalyzeResponse response) {
            answered(this, response);
        }

        @Override
        public void onError(Throwable error) {
            ended(this, Status.fromThrowable(error), Status.trailersFromThrowable(error));
        }

        @Override
        public void onCompleted() {
            ended(this, Status.OK, null);
        }
    }
}
