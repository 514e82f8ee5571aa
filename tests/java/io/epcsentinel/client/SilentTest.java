package io.epcsentinel.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.epcsentinel.v1.AnalyzeRequest;
import io.epcsentinel.v1.Detector;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A gateway that is stopped: it takes what is sent, answers nothing and closes nothing. */
@Timeout(90)
class SilentTest {

    private static final Duration LONG = Duration.ofSeconds(60);
    private static final Duration SHORT = Duration.ofSeconds(1);

    @Test
    void aStreamOnASilentGatewayEndsAndKeepsWhatHasNoAnswer() throws Exception {
        List<Long> answers = new CopyOnWriteArrayList<>();
        try (GatewayProcess gateway = new GatewayProcess();
                AnomalyClient client = new AnomalyClient(Connection.plaintext(gateway.target()), LONG)) {
            client.analyze(Scans.many(5), Detector.DETECTOR_RULES); // waits for the start
            AnomalyStream stream = client.stream((request, answer) -> answers.add(answer.getFileId()), SHORT);
            stream.send(Scans.numbered(0));
            TimeUnit.MILLISECONDS.sleep(2 * SHORT.toMillis()); // nothing is owed: this silence is none
            stream.send(Scans.numbered(1));
            while (answers.size() < 2) {
                TimeUnit.MILLISECONDS.sleep(1);
            }
            gateway.pause();
            stream.send(Scans.numbered(2));
            stream.send(Scans.numbered(3));
            StatusRuntimeException silent = assertTimeoutPreemptively(
                    Duration.ofSeconds(5), () -> assertThrows(StatusRuntimeException.class, stream::finish));
            assertEquals(Status.Code.DEADLINE_EXCEEDED, silent.getStatus().getCode());
            assertTrue(silent.getMessage().contains("no answer for 1000 ms"));
            assertTimeoutPreemptively(Duration.ofSeconds(2), stream::close);
            assertEquals(List.of(0L, 1L), answers);

            gateway.resume();
            try (AnomalyStream next = client.stream((request, answer) -> answers.add(answer.getFileId()), LONG)) {
                for (AnalyzeRequest request : stream.unanswered()) {
                    next.send(request);
                }
                next.finish();
            }
            assertEquals(List.of(0L, 1L, 2L, 3L), answers);
        }
    }

    @Test
    void closingWakesASenderThatWaits() throws Exception {
        try (GatewayProcess gateway = new GatewayProcess();
                AnomalyClient client = new AnomalyClient(Connection.plaintext(gateway.target()), LONG)) {
            client.analyze(Scans.many(5), Detector.DETECTOR_RULES);
            AnomalyStream stream = client.stream((request, answer) -> {}, LONG);
            gateway.pause();
            CompletableFuture<Void> sender = CompletableFuture.runAsync(() -> sendForEver(stream));
            while (stream.unanswered().size() < 64) {
                TimeUnit.MILLISECONDS.sleep(1);
            }
            stream.close();
            ExecutionException told = assertThrows(ExecutionException.class, () -> sender.get(2, TimeUnit.SECONDS));
            assertTrue(told.getCause().getMessage().contains("the stream is closed"));
            gateway.resume();
        }
    }

    private static void sendForEver(AnomalyStream stream) {
        try {
            for (long number = 0; ; number++) {
                stream.send(Scans.numbered(number));
            }
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
    }
}
