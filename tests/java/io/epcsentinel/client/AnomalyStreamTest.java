package io.epcsentinel.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.epcsentinel.v1.AnalyzeRequest;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A stream on a real gateway that is there all the time. */
@Timeout(90)
class AnomalyStreamTest {

    private static final Connection CONNECTION = Connection.plaintext(System.getProperty("test.target"));
    private static final Duration PATIENCE = Duration.ofSeconds(30);

    @Test
    void hundredsOfRequestsGetTheirOwnAnswersInOrder() throws Exception {
        List<Long> requests = new CopyOnWriteArrayList<>();
        List<Long> answers = new CopyOnWriteArrayList<>();
        try (AnomalyClient client = new AnomalyClient(CONNECTION, PATIENCE);
                AnomalyStream stream = client.stream((request, answer) -> {
                    requests.add(request.getData(0).getFileId());
                    answers.add(answer.getFileId());
                }, PATIENCE)) {
            for (long number = 0; number < 300; number++) {
                stream.send(Scans.numbered(number));
            }
            stream.finish();
            assertEquals(0, stream.restarts());
        }
        assertEquals(LongStream.range(0, 300).boxed().toList(), answers);
        assertEquals(answers, requests);
    }

    @Test
    void aRefusedRequestEndsTheStreamAndIsNotSentAgain() throws Exception {
        List<Long> answers = new CopyOnWriteArrayList<>();
        try (AnomalyClient client = new AnomalyClient(CONNECTION, PATIENCE);
                AnomalyStream stream = client.stream((request, answer) -> answers.add(answer.getFileId()), PATIENCE)) {
            stream.send(Scans.numbered(0));
            stream.send(AnalyzeRequest.getDefaultInstance());
            StatusRuntimeException refused = assertThrows(StatusRuntimeException.class, stream::finish);
            assertEquals(Status.Code.INVALID_ARGUMENT, refused.getStatus().getCode());
            assertTrue(AnomalyClient.badFields(refused).containsKey("requests[1].data"));
            assertEquals(List.of(0L), answers);
            assertThrows(StatusRuntimeException.class, () -> stream.send(Scans.numbered(2)));
        }
    }

    @Test
    void aCallbackThatThrowsLosesNoAnswerAndNamesItself() throws Exception {
        List<Long> answers = new CopyOnWriteArrayList<>();
        try (AnomalyClient client = new AnomalyClient(CONNECTION, PATIENCE)) {
            AnomalyStream broken = client.stream((request, answer) -> {
                if (answer.getFileId() == 2) {
                    throw new UnsupportedOperationException("no row for it");
                }
                answers.add(answer.getFileId());
            }, PATIENCE);
            sendAll(broken, 0, 5);
            IllegalStateException named = assertThrows(IllegalStateException.class, broken::finish);
            assertTrue(named.getMessage().startsWith("onAnswer threw java.lang.UnsupportedOperationException"));
            assertEquals("no row for it", named.getCause().getMessage());
            assertThrows(IllegalStateException.class, () -> broken.send(Scans.numbered(5)));
            broken.close();

            assertEquals(List.of(2L, 3L, 4L), numbers(broken.unanswered()));
            try (AnomalyStream next = client.stream((request, answer) -> answers.add(answer.getFileId()), PATIENCE)) {
                for (AnalyzeRequest request : broken.unanswered()) {
                    next.send(request);
                }
                next.finish();
                assertEquals(List.of(), next.unanswered());
            }
        }
        assertEquals(List.of(0L, 1L, 2L, 3L, 4L), answers);
    }

    /** On a thread of gRPC it would hold up all calls of the channel, and close would wait for it. */
    @Test
    void aCallbackThatWaitsHoldsUpNobody() throws Exception {
        CountDownLatch called = new CountDownLatch(1);
        CountDownLatch release = new CountDownLatch(1);
        AtomicReference<String> thread = new AtomicReference<>();
        try (AnomalyClient client = new AnomalyClient(CONNECTION, PATIENCE)) {
            AnomalyStream stream = client.stream((request, answer) -> {
                thread.set(Thread.currentThread().getName());
                called.countDown();
                awaitQuietly(release);
            }, PATIENCE);
            sendAll(stream, 0, 3);
            called.await();
            assertEquals("anomaly-stream-answers", thread.get());
            stream.send(Scans.numbered(3)); // the lock is free
            assertEquals(4, stream.unanswered().size());
            assertTimeoutPreemptively(Duration.ofSeconds(2), stream::close);
            assertThrows(IllegalStateException.class, stream::finish);
            release.countDown();
        }
    }

    @Test
    void aStreamThatIsClosedOrFinishedSaysSo() throws Exception {
        try (AnomalyClient client = new AnomalyClient(CONNECTION, PATIENCE)) {
            AnomalyStream stream = client.stream((request, answer) -> {}, PATIENCE);
            stream.finish();
            stream.finish();
            assertTrue(assertThrows(IllegalStateException.class, () -> stream.send(Scans.numbered(0)))
                    .getMessage()
                    .contains("finished"));
            stream.close();
            assertTrue(assertThrows(IllegalStateException.class, () -> stream.send(Scans.numbered(0)))
                    .getMessage()
                    .contains("closed"));
            assertThrows(
                    IllegalArgumentException.class, () -> client.stream((request, answer) -> {}, Duration.ZERO));
        }
    }

    private static void sendAll(AnomalyStream stream, long first, long end) throws InterruptedException {
        for (long number = first; number < end; number++) {
            stream.send(Scans.numbered(number));
        }
    }

    private static List<Long> numbers(List<AnalyzeRequest> requests) {
        return requests.stream().map(request -> request.getData(0).getFileId()).toList();
    }

    private static void awaitQuietly(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
    }
}
