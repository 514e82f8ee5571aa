package io.epcsentinel.client;

import io.epcsentinel.v1.AnalyzeRequest;
import io.epcsentinel.v1.AnalyzeResponse;
import io.epcsentinel.v1.AnomalyServiceGrpc.AnomalyServiceStub;
import io.epcsentinel.v1.Verdict;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.StreamObserver;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Collections;
import java.util.Deque;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;
import java.util.stream.Stream;

/**
 * An AnalyzeStream that survives restarts of the gateway: what got no answer is kept and sent again, unchanged and in
 * order. gRPC's own retries end with the first answer of a stream, so they are no help here. For one sending thread.
 *
 * <p>Where the gateway lets answers settle, onAnswer gets two for each request: a provisional one, and later a final one,
 * which replaces it. What has no final one is sent again, too, and its provisional answer, which is the same, passed over.
 */
public final class AnomalyStream implements AutoCloseable {

    /** How a stream ends that may go on; CANCELLED is a gateway that stops, OK before the last answer a proxy. */
    private static final Set<Status.Code> RETRIED = Set.of(
            Status.Code.UNAVAILABLE, Status.Code.RESOURCE_EXHAUSTED, Status.Code.CANCELLED, Status.Code.OK);

    private static final int MAX_UNANSWERED = 64;
    private static final long FIRST_BACKOFF_MS = 100;
    private static final long MAX_BACKOFF_MS = 2_000;

    private final AnomalyServiceStub stub;
    private final Runnable reconnect;
    private final BiConsumer<AnalyzeRequest, AnalyzeResponse> onAnswer;
    private final Duration giveUp;
    private final ScheduledExecutorService timer =
            Executors.newSingleThreadScheduledExecutor(work -> daemon(work, "anomaly-stream-timer"));
    private final ExecutorService callbacks =
            Executors.newSingleThreadExecutor(work -> daemon(work, "anomaly-stream-answers"));

    // All below is guarded by this.
    private final Deque<AnalyzeRequest> waiting = new ArrayDeque<>(); // for an answer
    private final Deque<AnalyzeRequest> answered = new ArrayDeque<>(); // but onAnswer is not through with it
    private final Deque<AnalyzeRequest> settling = new ArrayDeque<>(); // have a provisional answer, wait for the final one
    private Attempt attempt;
    private long backoffMs = FIRST_BACKOFF_MS;
    private long lastAnswerNs = System.nanoTime();
    private StatusRuntimeException lastEnd; // of an attempt since the last answer; null: none
    private int restarts;
    private boolean finishing; // all is sent
    private boolean finished;
    private boolean mute; // closed or onAnswer has thrown: it is not called again
    private RuntimeException failure; // null while the stream goes on

    AnomalyStream(
            AnomalyServiceStub stub,
            Runnable reconnect,
            BiConsumer<AnalyzeRequest, AnalyzeResponse> onAnswer,
            Duration giveUp) {
        if (giveUp.isNegative() || giveUp.isZero()) {
            throw new IllegalArgumentException("giveUp is " + giveUp + ": give the time that an answer may take");
        }
        this.stub = stub;
        this.reconnect = reconnect;
        this.onAnswer = onAnswer;
        this.giveUp = giveUp;
        open();
        watch();
    }

    /**
     * Sends a request; waits while 64 requests have no answer or have one that onAnswer is not through with.
     *
     * @throws StatusRuntimeException the stream has failed; {@link #unanswered} can be sent in another stream
     * @throws IllegalStateException onAnswer has thrown, or the stream is finished or closed
     */
    public synchronized void send(AnalyzeRequest request) throws InterruptedException {
        Objects.requireNonNull(request, "request");
        while (failure == null && waiting.size() + answered.size() >= MAX_UNANSWERED) {
            wait();
        }
        throwFailure();
        if (finishing) {
            throw new IllegalStateException("the stream is finished: send in another one");
        }
        if (waiting.isEmpty()) {
            lastAnswerNs = System.nanoTime(); // nobody waited until now
        }
        waiting.add(request);
        if (attempt != null) {
            attempt.outbox.onNext(request);
        }
    }

    /**
     * Waits until onAnswer has taken all answers, the final ones included: the gateway gives those at once then.
     *
     * @throws StatusRuntimeException the stream has failed; {@link #unanswered} can be sent in another stream
     * @throws IllegalStateException onAnswer has thrown, or the stream is closed
     */
    public synchronized void finish() throws InterruptedException {
        awaitAnswers(waiting);
        finishing = true;
        lastAnswerNs = System.nanoTime();
        if (attempt != null) {
            attempt.outbox.onCompleted();
        }
        awaitAnswers(settling);
        finished = true;
        attempt = null;
    }

    private void awaitAnswers(Deque<AnalyzeRequest> requests) throws InterruptedException {
        while ((failure == null && !requests.isEmpty()) || (!mute && !answered.isEmpty())) {
            wait();
        }
        throwFailure();
    }

    /**
     * Returns the requests without an answer that onAnswer has taken, or without a final one where one is to come, in
     * order; complete after finish or close.
     */
    public synchronized List<AnalyzeRequest> unanswered() {
        Set<AnalyzeRequest> requests = Collections.newSetFromMap(new IdentityHashMap<>());
        return Stream.of(settling, answered, waiting).flatMap(Deque::stream).filter(requests::add).toList();
    }

    /** Returns how often the stream was opened again. */
    public synchronized int restarts() {
        return restarts;
    }

    /** Gives up what has no answer yet, and waits for nothing: a call of onAnswer may still be under way. */
    @Override
    public synchronized void close() {
        mute = true;
        if (failure == null) {
            fail(new IllegalStateException("the stream is closed: send in another one"));
        }
        timer.shutdownNow();
        callbacks.shutdown();
    }

    private synchronized void open() {
        if (failure != null || finished) {
            return;
        }
        Attempt opened = new Attempt();
        attempt = opened;
        // Without waitForReady: a gateway that is away ends the attempt.
        opened.outbox = stub.analyzeStream(opened);
        opened.repeated = settling.size();
        List.copyOf(settling).forEach(opened.outbox::onNext);
        List.copyOf(waiting).forEach(opened.outbox::onNext);
        if (finishing) {
            opened.outbox.onCompleted();
        }
    }

    /** Fails the stream when the gateway owes an answer for longer than giveUp; looks again when that may be. */
    private synchronized void watch() {
        if (failure != null || finished) {
            return;
        }
        boolean owes = !waiting.isEmpty() || (finishing && !settling.isEmpty());
        long silentNs = owes ? System.nanoTime() - lastAnswerNs : 0;
        if (silentNs < giveUp.toNanos()) {
            timer.schedule(this::watch, giveUp.toNanos() - silentNs, TimeUnit.NANOSECONDS);
            return;
        }
        Status status = lastEnd == null ? Status.DEADLINE_EXCEEDED : lastEnd.getStatus();
        fail(status.augmentDescription("no answer for " + giveUp.toMillis() + " ms")
                .asRuntimeException(lastEnd == null ? null : lastEnd.getTrailers()));
    }

    private synchronized void answered(Attempt from, AnalyzeResponse response) {
        boolean isFinal = response.getVerdict() == Verdict.VERDICT_FINAL;
        Deque<AnalyzeRequest> asked = isFinal ? settling : waiting;
        if (from != attempt) {
            return; // of an attempt that is over
        }
        if (!isFinal && from.repeated > 0) {
            from.repeated--; // it had this answer from the attempt before
            return;
        }
        if (asked.isEmpty()) {
            return;
        }
        AnalyzeRequest request = asked.remove();
        if (response.getVerdict() == Verdict.VERDICT_PROVISIONAL) {
            settling.add(request);
        }
        answered.add(request);
        lastAnswerNs = System.nanoTime();
        lastEnd = null;
        backoffMs = FIRST_BACKOFF_MS;
        callbacks.execute(() -> deliver(request, response));
    }

    private void deliver(AnalyzeRequest request, AnalyzeResponse response) {
        synchronized (this) {
            if (mute) {
                return;
            }
        }
        Throwable thrown = null;
        try {
            onAnswer.accept(request, response);
        } catch (Throwable error) { // on this thread nobody else would hear of it
            thrown = error;
        }
        synchronized (this) {
            if (thrown == null) {
                answered.remove();
                notifyAll();
            } else {
                spoilt(thrown);
            }
        }
    }

    private void spoilt(Throwable thrown) {
        mute = true;
        RuntimeException why = new IllegalStateException(
                "onAnswer threw " + thrown + "; its request is the first of unanswered()", thrown);
        if (failure != null) {
            why.addSuppressed(failure);
        }
        fail(why);
    }

    private synchronized void ended(Attempt from, Status status, Metadata trailers) {
        if (from != attempt || (finishing && waiting.isEmpty() && settling.isEmpty())) {
            return;
        }
        attempt = null;
        Status shown = status.isOk() ? Status.UNAVAILABLE.withDescription("the stream ended too early") : status;
        lastEnd = shown.asRuntimeException(trailers); // they name the bad fields
        if (!RETRIED.contains(status.getCode())) {
            fail(lastEnd);
            return;
        }
        restarts++;
        reconnect.run(); // gRPC's own wait before it connects again grows to two minutes
        timer.schedule(this::open, backoffMs, TimeUnit.MILLISECONDS);
        backoffMs = Math.min(2 * backoffMs, MAX_BACKOFF_MS);
    }

    /** Ends the stream; what it had no answer to stays. */
    private void fail(RuntimeException why) {
        failure = why;
        Attempt last = attempt;
        attempt = null;
        if (last != null) {
            last.outbox.onError(Status.CANCELLED.withDescription(why.getMessage()).asException());
        }
        notifyAll();
    }

    private void throwFailure() {
        if (failure != null) {
            throw failure;
        }
    }

    private static Thread daemon(Runnable work, String name) {
        Thread thread = new Thread(work, name);
        thread.setDaemon(true);
        return thread;
    }

    /** One call of AnalyzeStream. */
    private final class Attempt implements StreamObserver<AnalyzeResponse> {
        private StreamObserver<AnalyzeRequest> outbox;
        private int repeated; // requests sent again that have their provisional answer

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
