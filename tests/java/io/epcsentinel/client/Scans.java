package io.epcsentinel.client;

import com.google.protobuf.Timestamp;
import io.epcsentinel.v1.AnalyzeRequest;
import io.epcsentinel.v1.Detector;
import io.epcsentinel.v1.HistoryUse;
import io.epcsentinel.v1.ScanEvent;
import java.util.List;
import java.util.stream.LongStream;

/** Scans of made-up items. */
final class Scans {

    private static final long START_S = 1_751_366_057; // 2025-07-01 10:34:17 UTC

    private Scans() {}

    static ScanEvent scan(long eventId, String code, long fileId) {
        return ScanEvent.newBuilder()
                .setEventId(eventId)
                .setEpcCode(code)
                .setLocationId(1)
                .setBusinessStep("Factory")
                .setEventType("Aggregation")
                .setEventTime(Timestamp.newBuilder().setSeconds(START_S + 60 * eventId))
                .setFileId(fileId)
                .build();
    }

    /** Returns well-formed codes, five scans of each. */
    static List<ScanEvent> many(int count) {
        return LongStream.range(0, count)
                .mapToObj(at -> scan(at, "001.8804823.1293291.010004.20250701.%09d".formatted(at / 5), 1))
                .toList();
    }

    /** Returns a request of one forged code, which no history remembers; the answer repeats {@code number}. */
    static AnalyzeRequest numbered(long number) {
        return AnalyzeRequest.newBuilder()
                .addData(scan(number, "forged " + number, number))
                .setDetector(Detector.DETECTOR_RULES)
                .setHistory(HistoryUse.HISTORY_USE_OFF)
                .build();
    }
}
