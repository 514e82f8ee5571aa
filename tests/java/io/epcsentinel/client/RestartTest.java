package io.epcsentinel.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.epcsentinel.v1.AnalyzeResponse;
import io.epcsentinel.v1.Detector;
import io.epcsentinel.v1.ScanEvent;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A gateway that is killed in the middle of work. */
@Timeout(90)
class RestartTest {

    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final int LARGE = AnomalyClient.MAX_EVENTS; // 6 MB, and gRPC's own limit of retries is 1 MiB

    @Test
    void aKilledGatewayThatComesBackCostsNoEvent() throws Exception {
        List<Long> answers = new CopyOnWriteArrayList<>();
        Attempts attempts = new Attempts();
        try (GatewayProcess gateway = new GatewayProcess();
                AnomalyClient client = new AnomalyClient(Connection.plaintext(gateway.target()), PATIENCE, attempts)) {
            client.analyze(Scans.many(5), Detector.DETECTOR_LSTM); // waits for the start
            AnomalyStream stream = client.stream((request, answer) -> answers.add(answer.getFileId()), PATIENCE);
            send(stream, 0, 20);
            CompletableFuture<AnalyzeResponse> batch = CompletableFuture.supplyAsync(
                    () -> client.analyze(largeFile(), Detector.DETECTOR_LSTM));
            attempts.awaitSent(2);
            TimeUnit.MILLISECONDS.sleep(100); // the gateway has it, and needs a second

            assertFalse(batch.isDone());
            gateway.kill();
            send(stream, 20, 40); // nobody is there
            gateway.start();
            send(stream, 40, 60);
            stream.finish();
            AnalyzeResponse answer = batch.get(PATIENCE.toSeconds(), TimeUnit.SECONDS);

            assertEquals(LongStream.range(0, 60).boxed().toList(), answers);
            assertTrue(stream.restarts() >= 1);
            assertEquals(3, attempts.sent());
            assertTrue(answer.getEventHistoryList().stream().anyMatch(found -> found.getEventId() == LARGE - 1));
        }
    }

    @Test
    void aGatewayThatStaysAwayEndsCallsAndStreams() throws Exception {
        Connection nobody;
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            nobody = Connection.plaintext("127.0.0.1:" + free.getLocalPort());
        }
        try (AnomalyClient client = new AnomalyClient(nobody, Duration.ofSeconds(1));
                AnomalyStream stream = client.stream((request, answer) -> {}, Duration.ofMillis(500))) {
            stream.send(Scans.numbered(0));
            assertEquals(
                    Status.Code.DEADLINE_EXCEEDED, // waitForReady: it might have come in time
                    assertThrows(
                                    StatusRuntimeException.class,
                                    () -> client.analyze(Scans.many(5), Detector.DETECTOR_RULES))
                            .getStatus()
                            .getCode());
            StatusRuntimeException lost = assertThrows(StatusRuntimeException.class, stream::finish);
            assertEquals(Status.Code.UNAVAILABLE, lost.getStatus().getCode());
        }
    }

    @Test
    void aGatewayThatIsStoppedUnderLoadCostsNoCall() throws Exception {
        List<Long> answers = new CopyOnWriteArrayList<>();
        AtomicBoolean over = new AtomicBoolean();
        try (GatewayProcess gateway = new GatewayProcess();
                AnomalyClient client = new AnomalyClient(Connection.plaintext(gateway.target()), PATIENCE);
                AnomalyStream stream = client.stream((request, answer) -> answers.add(answer.getFileId()), PATIENCE)) {
            client.analyze(Scans.many(5), Detector.DETECTOR_RULES); // waits for the start
            List<CompletableFuture<Integer>> callers = IntStream.range(0, 4)
                    .mapToObj(caller -> CompletableFuture.supplyAsync(() -> callUntil(client, over)))
                    .toList();
            send(stream, 0, 200);
            gateway.stop();
            gateway.start();
            send(stream, 200, 400);
            stream.finish();
            over.set(true);
            for (CompletableFuture<Integer> caller : callers) {
                assertTrue(caller.get(PATIENCE.toSeconds(), TimeUnit.SECONDS) > 1);
            }
            assertEquals(LongStream.range(0, 400).boxed().toList(), answers);
        }
    }

    private static int callUntil(AnomalyClient client, AtomicBoolean over) {
        int calls = 0;
        for (; !over.get(); calls++) {
            client.analyze(Scans.many(5), Detector.DETECTOR_RULES);
        }
        return calls;
    }

    @Test
    void aCallThatAStoppingGatewayCancelsIsMadeAgain() throws Exception {
        List<Long> answers = new CopyOnWriteArrayList<>();
        Attempts attempts = new Attempts();
        try (CancellingFront front = new CancellingFront(System.getProperty("test.target"));
                AnomalyClient client = new AnomalyClient(Connection.plaintext(front.target()), PATIENCE, attempts);
                AnomalyStream stream = client.stream((request, answer) -> answers.add(answer.getFileId()), PATIENCE)) {
            assertEquals("rule-based", client.analyze(Scans.many(5), Detector.DETECTOR_RULES).getMethod());
            assertEquals(2, attempts.sent());
            send(stream, 0, 3);
            stream.finish();
            assertEquals(List.of(0L, 1L, 2L), answers);
            assertEquals(1, stream.restarts());
        }
    }

    private static void send(AnomalyStream stream, long first, long end) throws InterruptedException {
        for (long number = first; number < end; number++) {
            stream.send(Scans.numbered(number));
        }
    }

    /** Returns normal codes, and a forged one at the very end. */
    private static List<ScanEvent> largeFile() {
        List<ScanEvent> events = new ArrayList<>(Scans.many(LARGE - 1));
        events.add(Scans.scan(LARGE - 1, "forged", 1));
        return events;
    }
}
