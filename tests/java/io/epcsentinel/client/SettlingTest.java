package io.epcsentinel.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.epcsentinel.v1.AnalyzeRequest;
import io.epcsentinel.v1.AnalyzeResponse;
import io.epcsentinel.v1.EventFinding;
import io.epcsentinel.v1.ScanEvent;
import io.epcsentinel.v1.Verdict;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A gateway whose answers settle, after an hour or at the end of the stream. */
@Timeout(90)
class SettlingTest {

    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private final List<Long> provisional = new CopyOnWriteArrayList<>();
    private final List<Long> settled = new CopyOnWriteArrayList<>();
    private final Map<Long, EventFinding> findings = new ConcurrentHashMap<>();

    @Test
    void eachRequestGetsOneAnswerOfEitherKindThoughTheGatewayIsKilled() throws Exception {
        try (GatewayProcess gateway = new GatewayProcess("--settle-s", "3600");
                AnomalyClient client = new AnomalyClient(Connection.plaintext(gateway.target()), PATIENCE);
                AnomalyStream stream = client.stream(this::store, PATIENCE)) {
            send(stream, 0, 20);
            while (provisional.size() < 10) {
                Thread.sleep(10);
            }
            gateway.kill();
            gateway.start();
            send(stream, 20, 40);
            stream.finish();
            assertTrue(stream.restarts() >= 1);
            assertEquals(List.of(), stream.unanswered());
        }
        List<Long> all = LongStream.range(0, 40).boxed().toList();
        assertEquals(all, provisional);
        assertEquals(all, settled);
        assertEquals(40, findings.size());
    }

    @Test
    void whatHasNoFinalAnswerCanBeSentAgain() throws Exception {
        try (GatewayProcess gateway = new GatewayProcess("--settle-s", "3600");
                AnomalyClient client = new AnomalyClient(Connection.plaintext(gateway.target()), PATIENCE)) {
            AnomalyStream closed = client.stream(this::store, PATIENCE);
            send(closed, 0, 3);
            while (provisional.size() < 3) {
                Thread.sleep(10);
            }
            closed.close();
            assertEquals(3, closed.unanswered().size());
            try (AnomalyStream next = client.stream(this::store, PATIENCE)) {
                for (AnalyzeRequest request : closed.unanswered()) {
                    next.send(request);
                }
                next.finish();
            }
        }
        assertEquals(List.of(0L, 1L, 2L, 0L, 1L, 2L), provisional);
        assertEquals(List.of(0L, 1L, 2L), settled);
    }

    private void store(AnalyzeRequest request, AnalyzeResponse answer) {
        for (ScanEvent event : request.getDataList()) {
            findings.remove(event.getEventId()); // the final answer may clear what the provisional one found
        }
        for (EventFinding finding : answer.getEventHistoryList()) {
            findings.put(finding.getEventId(), finding);
        }
        boolean isFinal = answer.getVerdict() != Verdict.VERDICT_PROVISIONAL;
        (isFinal ? settled : provisional).add(answer.getFileId());
    }

    private static void send(AnomalyStream stream, long first, long end) throws InterruptedException {
        for (long number = first; number < end; number++) {
            stream.send(Scans.numbered(number));
        }
    }
}
