package io.epcsentinel.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.util.JsonFormat;
import io.epcsentinel.v1.AnalyzeFilesResponse;
import io.epcsentinel.v1.AnalyzeResponse;
import io.epcsentinel.v1.Detector;
import io.epcsentinel.v1.EventFinding;
import io.epcsentinel.v1.ExplainFindingsResponse;
import io.epcsentinel.v1.ExplainResponse;
import io.epcsentinel.v1.Explanation;
import io.epcsentinel.v1.ScanEvent;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.Context;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.lang.Character.UnicodeScript;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;

/** Calls of a real gateway that is there all the time. */
@Timeout(90)
class AnomalyClientTest {

    private static final String TARGET = System.getProperty("test.target");
    private static final Detector LSTM = Detector.DETECTOR_LSTM;

    private static AnomalyClient client;
    private static List<ScanEvent> rows;

    @BeforeAll
    static void open() throws Exception {
        client = new AnomalyClient(Connection.plaintext(TARGET), Duration.ofSeconds(60));
        rows = RawRows.read(Path.of(System.getProperty("test.rows")), 1, ZoneId.of("Asia/Seoul"));
    }

    @AfterAll
    static void close() {
        client.close();
    }

    @Test
    void theAnswerIsThatOfThePythonClient() throws Exception {
        AnalyzeFilesResponse.Builder python = AnalyzeFilesResponse.newBuilder();
        JsonFormat.parser().merge(Files.readString(Path.of(System.getProperty("test.answers"))), python);
        assertTrue(python.getFiles(0).getEventHistoryCount() > 20);
        assertEquals(python.getFilesList(), client.analyzeFile(rows, LSTM, AnomalyClient.MAX_EVENTS));
    }

    @Test
    void eachFindingSaysWhyInBothLanguages() {
        AnalyzeResponse answer = client.analyze(rows, LSTM);
        ExplainFindingsResponse english = client.explainFindings(rows, LSTM, "en");
        ExplainFindingsResponse korean = client.explainFindings(rows, LSTM, "ko-KR,ko;q=0.9");
        assertEquals(
                answer.getEventHistoryList().stream().map(EventFinding::getEventId).toList(),
                english.getFindingsList().stream().map(ExplainResponse::getEventId).toList());
        for (int at = 0; at < english.getFindingsCount(); at++) {
            Explanation said = english.getFindings(at).getExplanations(0);
            Explanation saidInKorean = korean.getFindings(at).getExplanations(0);
            assertFalse(said.getReason().isEmpty());
            assertEquals(said.getCause(), saidInKorean.getCause());
            assertTrue(saidInKorean.getReason().codePoints().anyMatch(c -> UnicodeScript.of(c) == UnicodeScript.HANGUL));
        }
        assertTrue(english.getIncidentsCount() > 0);
    }

    @Test
    void batchesHoldEachEventOnceAndCutNoLot() {
        List<List<ScanEvent>> batches = Batches.of(rows, 200);
        assertTrue(batches.size() > 2);
        Map<String, Integer> batchOfLot = new HashMap<>();
        List<Long> ids = new ArrayList<>();
        for (List<ScanEvent> batch : batches) {
            assertTrue(batch.size() <= 200);
            batch.forEach(event -> ids.add(event.getEventId()));
            for (ScanEvent event : batch) {
                String code = event.getEpcCode();
                String lot = code.substring(0, Math.max(code.lastIndexOf('.'), 0));
                assertEquals(batches.indexOf(batch), batchOfLot.computeIfAbsent(lot, unused -> batches.indexOf(batch)));
            }
        }
        assertEquals(rows.size(), ids.size());
        assertEquals(rows.size(), new HashSet<>(ids).size());
    }

    @Test
    void lotsTooLargeAreCutBetweenItemsAndItemsOnlyIfTheyMust() {
        List<ScanEvent> lot = Scans.many(100); // one lot, 20 items of 5 events
        List<List<ScanEvent>> batches = Batches.of(lot, 12);
        assertEquals(10, batches.size());
        batches.forEach(batch -> assertEquals(10, batch.size()));
        assertEquals(List.of(3, 2, 3, 2), Batches.of(lot.subList(0, 10), 3).stream().map(List::size).toList());
        assertEquals(List.of(), Batches.of(List.of(), 3));
    }

    @Test
    void partsOfAFileAreOneReport() {
        List<AnalyzeResponse> parts = client.analyzeFile(rows, LSTM, 200);
        FileReport report = FileReport.of(parts);
        assertEquals("lstm-deep-learning", report.method());
        assertEquals("epc_lstm", report.modelVersion().split("/")[0]);
        assertNull(report.warning());
        int findings = parts.stream().mapToInt(part -> part.getFileAnomalyStats().getTotalEvents()).sum();
        assertEquals(findings, report.fileAnomalyStats().totalEvents());
        assertEquals(
                findings,
                report.epcAnomalyStats().stream().mapToInt(FileReport.EpcAnomalyStats::totalEvents).sum());
        int flagged = parts.stream().mapToInt(AnalyzeResponse::getEventHistoryCount).sum();
        assertEquals(flagged, report.eventHistory().size());
    }

    @Test
    void aFileThatFailsHalfwayKeepsWhatWasJudged() {
        int last = rows.size() - 1;
        List<ScanEvent> damaged = new ArrayList<>(rows);
        damaged.set(last, rows.get(last).toBuilder().clearEventTime().build());
        UnfinishedFileException unfinished =
                assertThrows(UnfinishedFileException.class, () -> client.analyzeFile(damaged, LSTM, 200));
        assertEquals(Status.Code.INVALID_ARGUMENT, unfinished.getStatus().getCode());
        List<AnalyzeResponse> answers = new ArrayList<>(unfinished.answers());
        assertFalse(answers.isEmpty());
        assertEquals(client.analyzeFile(rows, LSTM, 200).subList(0, answers.size()), answers);

        List<ScanEvent> rest = new ArrayList<>(unfinished.rest());
        String field = AnomalyClient.badFields(unfinished).keySet().iterator().next();
        int bad = Integer.parseInt(field.replaceAll("\\D", ""));
        assertEquals(damaged.get(last), rest.get(bad));
        rest.set(bad, rows.get(last));
        answers.addAll(client.analyzeFile(rest, LSTM, AnomalyClient.MAX_EVENTS));
        assertEquals(FileReport.of(client.analyzeFile(rows, LSTM, 200)).fileAnomalyStats(),
                FileReport.of(answers).fileAnomalyStats());
    }

    @Test
    void whatCannotBeSentIsRefusedByName() {
        assertRefused("no events", () -> client.analyze(List.of(), LSTM));
        assertRefused("no events", () -> client.analyzeFile(List.of(), LSTM, 200));
        assertRefused("events[1] is null", () -> client.analyze(Arrays.asList(rows.get(0), null), LSTM));
        assertRefused("maxEvents is 0", () -> client.analyzeFile(rows, LSTM, 0));
        assertRefused("maxEvents is -1", () -> client.analyzeFile(rows, LSTM, -1));
        Instant now = Instant.now();
        assertRefused("event 7: epcCode is null", () -> Events.of(7, null, 1, "Factory", "Aggregation", now, 1));
        assertRefused("event 7: businessStep is null", () -> Events.of(7, "", 1, null, "Aggregation", now, 1));
        assertRefused("event 7: eventType is null", () -> Events.of(7, "", 1, "Factory", null, now, 1));
        assertRefused("event 7: eventTime is null", () -> Events.of(7, "", 1, "Factory", "Aggregation", null, 1));
    }

    @Test
    void anyChannelWillDoAndStaysOpen() throws Exception {
        ManagedChannel channel = Grpc.newChannelBuilder(TARGET, InsecureChannelCredentials.create())
                .defaultServiceConfig(Connection.serviceConfig())
                .build();
        Duration patience = Duration.ofSeconds(30);
        Channel wrapped = ClientInterceptors.intercept(channel, new Attempts());
        for (Channel any : List.of(channel, wrapped)) {
            List<Long> answers = new CopyOnWriteArrayList<>();
            try (AnomalyClient borrower = new AnomalyClient(any, null, patience);
                    AnomalyStream stream =
                            borrower.stream((request, answer) -> answers.add(answer.getFileId()), patience)) {
                assertEquals("lstm-deep-learning", borrower.analyze(rows, LSTM).getMethod());
                stream.send(Scans.numbered(7));
                stream.finish();
            }
            assertEquals(List.of(7L), answers);
            assertFalse(channel.isShutdown());
        }
        channel.shutdownNow();
    }

    @Test
    void countsOfOneEpcInTwoPartsAreAdded() {
        AnalyzeResponse part = client.analyze(List.of(Scans.scan(1, "forged", 7)), Detector.DETECTOR_RULES);
        FileReport report = FileReport.of(List.of(part, part));
        assertEquals(1, report.epcAnomalyStats().size());
        assertEquals(2, report.epcAnomalyStats().get(0).epcFakeCount());
        assertEquals(2, report.fileAnomalyStats().epcFakeCount());
        AnalyzeResponse other = part.toBuilder().setFileId(8).build();
        assertThrows(IllegalArgumentException.class, () -> FileReport.of(List.of(part, other)));
    }

    @Test
    void theWarningOfOnePartIsThatOfTheFile() {
        AnalyzeResponse part = client.analyze(List.of(Scans.scan(1, "forged", 7)), LSTM);
        AnalyzeResponse warned =
                part.toBuilder().setMethod("rule-based-fallback").setWarning("the model is away").build();
        FileReport report = FileReport.of(List.of(part, warned, part));
        assertEquals("rule-based-fallback", report.method());
        assertEquals("the model is away", report.warning());
    }

    @Test
    void whatIsNotFlaggedIsNull() {
        AnalyzeResponse answer = client.analyze(List.of(Scans.scan(1, "forged", 7)), Detector.DETECTOR_RULES);
        EventFinding finding = answer.getEventHistory(0);
        FileReport.EventHistory row = FileReport.of(List.of(answer)).eventHistory().get(0);
        assertEquals(Boolean.TRUE, row.epcFake());
        assertEquals(finding.getEpcFakeScore(), row.epcFakeScore());
        assertFalse(finding.hasJump());
        assertNull(row.jump());
        assertNull(row.jumpScore());
        assertNull(row.lstmSequenceScore());
        assertNull(FileReport.of(List.of(answer)).modelVersion()); // rules have none
    }

    @Test
    void aRefusedRequestNamesItsFields() {
        ScanEvent timeless = rows.get(0).toBuilder().clearEventTime().build();
        StatusRuntimeException refused = assertThrows(
                StatusRuntimeException.class, () -> client.analyze(List.of(rows.get(1), timeless), LSTM));
        assertEquals(Status.Code.INVALID_ARGUMENT, refused.getStatus().getCode());
        Map<String, String> fields = AnomalyClient.badFields(refused);
        assertEquals(Set.of("data[1].event_time"), fields.keySet());
        assertTrue(fields.get("data[1].event_time").contains("is missing"));
    }

    /** Java refuses trailers over 8 KiB, and the caller would read INTERNAL instead. */
    @Test
    void aThousandBadFieldsFitTheTrailers() {
        List<ScanEvent> timeless = Scans.many(1000).stream()
                .map(event -> event.toBuilder().clearEventTime().build())
                .toList();
        StatusRuntimeException refused =
                assertThrows(StatusRuntimeException.class, () -> client.analyze(timeless, LSTM));
        assertEquals(Status.Code.INVALID_ARGUMENT, refused.getStatus().getCode());
        assertTrue(AnomalyClient.badFields(refused).containsKey("data[0].event_time"));
        assertTrue(AnomalyClient.badFields(refused).containsKey("request")); // how many more there are
    }

    @Test
    void aDeadlineThatPassesEndsTheCallAndNothingElse() {
        List<ScanEvent> events = Scans.many(20_000);
        try (AnomalyClient hasty = new AnomalyClient(Connection.plaintext(TARGET), Duration.ofMillis(20))) {
            StatusRuntimeException late = assertThrows(StatusRuntimeException.class, () -> hasty.analyze(events, LSTM));
            assertEquals(Status.Code.DEADLINE_EXCEEDED, late.getStatus().getCode());
            assertTrue(AnomalyClient.badFields(late).isEmpty());
        }
        assertEquals("lstm-deep-learning", client.analyze(rows, LSTM).getMethod());
    }

    /** CANCELLED is retried, if it is the gateway that cancels. */
    @Test
    void aCallThatTheCallerCancelsIsNotMadeAgain() throws Exception {
        Attempts attempts = new Attempts();
        List<ScanEvent> events = Scans.many(20_000);
        try (AnomalyClient counted = new AnomalyClient(Connection.plaintext(TARGET), Duration.ofSeconds(60), attempts);
                Context.CancellableContext context = Context.current().withCancellation()) {
            CompletableFuture<AnalyzeResponse> call = CompletableFuture.supplyAsync(
                    () -> counted.analyze(events, LSTM), context.fixedContextExecutor(ForkJoinPool.commonPool()));
            attempts.awaitSent(1);
            context.cancel(null);
            ExecutionException cancelled = assertThrows(ExecutionException.class, call::get);
            assertEquals(Status.Code.CANCELLED, Status.fromThrowable(cancelled).getCode());
            TimeUnit.SECONDS.sleep(1); // the first pause is half a second at most
            assertEquals(1, attempts.sent());
        }
    }

    @Test
    void springMakesTheClientFromPropertiesAndClosesIt() {
        System.setProperty("epc-sentinel.target", TARGET);
        AnomalyClient bean;
        try (var context = new AnnotationConfigApplicationContext(AnomalyClientConfiguration.class)) {
            bean = context.getBean(AnomalyClient.class);
            assertNotNull(bean.analyze(rows.subList(0, 5), LSTM));
            assertEquals("60", context.getEnvironment().getProperty("epc-sentinel.deadline-s")); // of the file
        } finally {
            System.clearProperty("epc-sentinel.target");
        }
        assertThrows(StatusRuntimeException.class, () -> bean.analyze(rows.subList(0, 5), LSTM));
    }

    @Test
    void halfASecurityIsRefused() {
        Path file = Path.of("some.pem");
        assertThrows(IllegalArgumentException.class, () -> new Connection(TARGET, null, null, null, file));
        assertThrows(IllegalArgumentException.class, () -> new Connection(TARGET, file, file, null, null));
    }

    private static void assertRefused(String start, Executable call) {
        String message = assertThrows(IllegalArgumentException.class, call).getMessage();
        assertTrue(message.startsWith(start), message);
        assertTrue(message.contains(": "), message); // and what to do
    }
}
