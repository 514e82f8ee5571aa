package io.epcsentinel.client;

import io.epcsentinel.v1.AnalyzeResponse;
import io.epcsentinel.v1.EventFinding;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What is stored of a judged file; the components of the records are the columns.
 *
 * @param warning what to know about the quality of the answer; null: nothing
 * @param modelVersion null if rules judged
 */
public record FileReport(
        long fileId,
        String method,
        String modelVersion,
        String warning,
        List<EventHistory> eventHistory,
        List<EpcAnomalyStats> epcAnomalyStats,
        FileAnomalyStats fileAnomalyStats) {

    /** A flagged event. A kind that is not flagged is null, and so is its score: not false, not 0. */
    public record EventHistory(
            long eventId,
            Boolean epcFake,
            Double epcFakeScore,
            Boolean epcDup,
            Double epcDupScore,
            Boolean locErr,
            Double locErrScore,
            Boolean evtOrderErr,
            Double evtOrderErrScore,
            Boolean jump,
            Double jumpScore,
            Double lstmSequenceScore,
            Double svmOutlierScore,
            Double mlCombinedScore) {

        static EventHistory of(EventFinding finding) {
            return new EventHistory(
                    finding.getEventId(),
                    finding.hasEpcFake() ? finding.getEpcFake() : null,
                    finding.hasEpcFakeScore() ? finding.getEpcFakeScore() : null,
                    finding.hasEpcDup() ? finding.getEpcDup() : null,
                    finding.hasEpcDupScore() ? finding.getEpcDupScore() : null,
                    finding.hasLocErr() ? finding.getLocErr() : null,
                    finding.hasLocErrScore() ? finding.getLocErrScore() : null,
                    finding.hasEvtOrderErr() ? finding.getEvtOrderErr() : null,
                    finding.hasEvtOrderErrScore() ? finding.getEvtOrderErrScore() : null,
                    finding.hasJump() ? finding.getJump() : null,
                    finding.hasJumpScore() ? finding.getJumpScore() : null,
                    finding.hasLstmSequenceScore() ? finding.getLstmSequenceScore() : null,
                    finding.hasSvmOutlierScore() ? finding.getSvmOutlierScore() : null,
                    finding.hasMlCombinedScore() ? finding.getMlCombinedScore() : null);
        }
    }

    /** Findings of one EPC; totalEvents is the sum of the five counts. */
    public record EpcAnomalyStats(
            String epcCode,
            int totalEvents,
            int jumpCount,
            int evtOrderErrCount,
            int epcFakeCount,
            int epcDupCount,
            int locErrCount) {

        static EpcAnomalyStats of(io.epcsentinel.v1.EpcAnomalyStats stats) {
            return new EpcAnomalyStats(
                    stats.getEpcCode(),
                    stats.getTotalEvents(),
                    stats.getJumpCount(),
                    stats.getEvtOrderErrCount(),
                    stats.getEpcFakeCount(),
                    stats.getEpcDupCount(),
                    stats.getLocErrCount());
        }

        EpcAnomalyStats plus(EpcAnomalyStats other) {
            return new EpcAnomalyStats(
                    epcCode,
                    totalEvents + other.totalEvents,
                    jumpCount + other.jumpCount,
                    evtOrderErrCount + other.evtOrderErrCount,
                    epcFakeCount + other.epcFakeCount,
                    epcDupCount + other.epcDupCount,
                    locErrCount + other.locErrCount);
        }
    }

    /** Findings of a file; totalEvents is the sum of the five counts. */
    public record FileAnomalyStats(
            int totalEvents, int jumpCount, int evtOrderErrCount, int epcFakeCount, int epcDupCount, int locErrCount) {

        static FileAnomalyStats of(io.epcsentinel.v1.FileAnomalyStats stats) {
            return new FileAnomalyStats(
                    stats.getTotalEvents(),
                    stats.getJumpCount(),
                    stats.getEvtOrderErrCount(),
                    stats.getEpcFakeCount(),
                    stats.getEpcDupCount(),
                    stats.getLocErrCount());
        }

        FileAnomalyStats plus(FileAnomalyStats other) {
            return new FileAnomalyStats(
                    totalEvents + other.totalEvents,
                    jumpCount + other.jumpCount,
                    evtOrderErrCount + other.evtOrderErrCount,
                    epcFakeCount + other.epcFakeCount,
                    epcDupCount + other.epcDupCount,
                    locErrCount + other.locErrCount);
        }
    }

    /**
     * Merges the answers to the parts of one file. If a part has a warning (judged by rules, because the model was
     * away), its method and warning stand for the file.
     *
     * @throws IllegalArgumentException no answers, or of more than one file
     */
    public static FileReport of(List<AnalyzeResponse> answers) {
        if (answers.stream().map(AnalyzeResponse::getFileId).distinct().count() != 1) {
            throw new IllegalArgumentException("give the answers to the parts of one file");
        }
        AnalyzeResponse main = answers.stream()
                .filter(one -> !one.getWarning().isEmpty())
                .findFirst()
                .orElse(answers.get(0));
        List<EventHistory> events = new ArrayList<>();
        Map<String, EpcAnomalyStats> epcs = new LinkedHashMap<>();
        FileAnomalyStats file = new FileAnomalyStats(0, 0, 0, 0, 0, 0);
        for (AnalyzeResponse answer : answers) {
            answer.getEventHistoryList().forEach(finding -> events.add(EventHistory.of(finding)));
            answer.getEpcAnomalyStatsList()
                    .forEach(stats -> epcs.merge(stats.getEpcCode(), EpcAnomalyStats.of(stats), EpcAnomalyStats::plus));
            file = file.plus(FileAnomalyStats.of(answer.getFileAnomalyStats()));
        }
        return new FileReport(
                main.getFileId(),
                main.getMethod(),
                nullIfEmpty(main.getModelVersion()),
                nullIfEmpty(main.getWarning()),
                events,
                List.copyOf(epcs.values()),
                file);
    }

    private static String nullIfEmpty(String text) {
        return text.isEmpty() ? null : text;
    }
}
